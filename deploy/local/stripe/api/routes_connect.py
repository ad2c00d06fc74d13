"""The operations of Connect: connected accounts and the money that goes to them and comes back."""

from ..resources.accounts import api as accounts
from ..resources.application_fees import api as application_fees
from ..resources.operation import Operation
from ..resources.topups import lifecycle as topups
from ..resources.transfer_reversals import api as transfer_reversals
from ..resources.transfers import api as transfers
from ..wire.parameters import integer, text
from .accepted import LABELS_ONLY, NOTHING, listing
from .accepted_connect import (
    CREATE_ACCOUNT,
    CREATE_REVERSAL,
    CREATE_TOPUP,
    CREATE_TRANSFER,
    FEE_REFUND,
    PAGES_ONLY,
    TRANSFER_LIST,
    UPDATE_ACCOUNT,
    UPDATE_CAPABILITY,
    UPDATE_TRANSFER,
)

CONNECT_OPERATIONS = (
    Operation("GET", "/v1/account", NOTHING, accounts.retrieve_own),
    Operation("POST", "/v1/accounts", CREATE_ACCOUNT, accounts.create, accounts.check),
    Operation("GET", "/v1/accounts", listing(), accounts.list_all),
    Operation("GET", "/v1/accounts/*", NOTHING, accounts.retrieve),
    Operation("POST", "/v1/accounts/*", UPDATE_ACCOUNT, accounts.update, accounts.check),
    Operation("GET", "/v1/accounts/*/capabilities", NOTHING, accounts.list_capabilities),
    Operation("GET", "/v1/accounts/*/capabilities/*", NOTHING, accounts.retrieve_capability),
    Operation("POST", "/v1/accounts/*/capabilities/*", UPDATE_CAPABILITY, accounts.update_capability),
    Operation("POST", "/v1/transfers", CREATE_TRANSFER, transfers.create, transfers.check),
    Operation("GET", "/v1/transfers", TRANSFER_LIST, transfers.list_all),
    Operation("GET", "/v1/transfers/*", NOTHING, transfers.retrieve),
    Operation("POST", "/v1/transfers/*", UPDATE_TRANSFER, transfers.update),
    Operation(
        "POST", "/v1/transfers/*/reversals", CREATE_REVERSAL, transfer_reversals.create, transfer_reversals.check
    ),
    Operation("GET", "/v1/transfers/*/reversals", PAGES_ONLY, transfer_reversals.list_all),
    Operation("GET", "/v1/transfers/*/reversals/*", NOTHING, transfer_reversals.retrieve),
    Operation("POST", "/v1/transfers/*/reversals/*", LABELS_ONLY, transfer_reversals.update),
    Operation("GET", "/v1/application_fees", listing(charge=text), application_fees.list_all),
    Operation("GET", "/v1/application_fees/*", NOTHING, application_fees.retrieve),
    Operation(
        "POST",
        "/v1/application_fees/*/refunds",
        FEE_REFUND,
        application_fees.create_refund,
        application_fees.check_refund,
    ),
    Operation("GET", "/v1/application_fees/*/refunds", PAGES_ONLY, application_fees.list_refunds),
    Operation("GET", "/v1/application_fees/*/refunds/*", NOTHING, application_fees.retrieve_refund),
    Operation("POST", "/v1/application_fees/*/refunds/*", LABELS_ONLY, application_fees.update_refund),
    Operation("POST", "/v1/topups", CREATE_TOPUP, topups.create, topups.check),
    Operation("GET", "/v1/topups", listing(amount=integer, status=text), topups.list_all),
    Operation("GET", "/v1/topups/*", NOTHING, topups.retrieve),
    Operation("POST", "/v1/topups/*", UPDATE_TRANSFER, topups.update),
    Operation("POST", "/v1/topups/*/cancel", NOTHING, topups.cancel),
)
