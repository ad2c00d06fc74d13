"""What the operations of /v1/application_fees take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import Parameters, integer, metadata, text
from ..operation import METADATA_ONLY, NOTHING, PAGES_ONLY, Operation, listing
from . import api

FEE_REFUND = Parameters({"amount": integer, "metadata": metadata})
OPERATIONS = (
    Operation("GET", "/v1/application_fees", listing(charge=text), api.list_all),
    Operation("GET", "/v1/application_fees/*", NOTHING, api.retrieve),
    Operation(
        "POST",
        "/v1/application_fees/*/refunds",
        FEE_REFUND,
        api.create_refund,
        api.check_refund,
    ),
    Operation("GET", "/v1/application_fees/*/refunds", PAGES_ONLY, api.list_refunds),
    Operation("GET", "/v1/application_fees/*/refunds/*", NOTHING, api.retrieve_refund),
    Operation("POST", "/v1/application_fees/*/refunds/*", METADATA_ONLY, api.update_refund),
)
