"""What the operations of /v1/account take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import ADDRESS, Field, Parameters, boolean, clearable, integer, metadata, nested, one_of, text
from ..operation import NOTHING, Operation, listing, without_effect
from . import api

_REQUESTED = nested({"requested": boolean})
_OTHER_CAPABILITIES = without_effect(
    "bancontact_payments card_issuing cashapp_payments klarna_payments legacy_payments link_payments paypal_payments"
    " sepa_debit_payments us_bank_account_ach_payments"
)
_PROFILE: dict[str, Field] = {
    name: clearable(text)
    for name in ("mcc", "name", "product_description", "support_email", "support_phone", "support_url", "url")
}
_ACCOUNT: dict[str, Field] = {
    "business_profile": nested(
        _PROFILE | {"support_address": nested(ADDRESS)},
        without_effect(
            "annual_revenue estimated_worker_count minority_owned_business_designation monthly_estimated_revenue"
        ),
    ),
    "business_type": one_of("company", "government_entity", "individual", "non_profit"),
    "capabilities": nested({"card_payments": _REQUESTED, "transfers": _REQUESTED}, _OTHER_CAPABILITIES),
    "default_currency": text,
    "email": clearable(text),
    "metadata": metadata,
    "tos_acceptance": nested({"date": integer, "ip": text, "service_agreement": text, "user_agent": text}),
}
_ACCOUNT_EXTRAS = "account_token company documents external_account groups individual settings"
CREATE_ACCOUNT = Parameters(
    _ACCOUNT
    | {
        "country": text,
        "type": one_of("custom", "express", "standard"),
        "controller": nested(
            {
                "fees": nested({"payer": one_of("account", "application")}),
                "losses": nested({"payments": one_of("application", "stripe")}),
                "requirement_collection": one_of("application", "stripe"),
                "stripe_dashboard": nested({"type": one_of("express", "full", "none")}),
            }
        ),
    },
    without_effect=without_effect(f"{_ACCOUNT_EXTRAS} bank_account"),
)
UPDATE_ACCOUNT = Parameters(_ACCOUNT, without_effect=without_effect(_ACCOUNT_EXTRAS))
UPDATE_CAPABILITY = Parameters({"requested": boolean})
OPERATIONS = (
    Operation("GET", "/v1/account", NOTHING, api.retrieve_own),
    Operation("POST", "/v1/accounts", CREATE_ACCOUNT, api.create, api.check),
    Operation("GET", "/v1/accounts", listing(), api.list_all),
    Operation("GET", "/v1/accounts/*", NOTHING, api.retrieve),
    Operation("POST", "/v1/accounts/*", UPDATE_ACCOUNT, api.update, api.check),
    Operation("GET", "/v1/accounts/*/capabilities", NOTHING, api.list_capabilities),
    Operation("GET", "/v1/accounts/*/capabilities/*", NOTHING, api.retrieve_capability),
    Operation("POST", "/v1/accounts/*/capabilities/*", UPDATE_CAPABILITY, api.update_capability),
)
