"""What the operations of Connect take, and what Stripe takes there that has no effect here (answered with 501)."""

from ..wire.parameters import (
    ADDRESS,
    PAGE,
    Field,
    Parameters,
    boolean,
    clearable,
    integer,
    metadata,
    nested,
    one_of,
    text,
)
from .accepted import listing, without_effect

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
CREATE_TRANSFER = Parameters(
    {
        "amount": integer,
        "currency": text,
        "destination": text,
        "source_transaction": text,
        "transfer_group": text,
        "description": text,
        "metadata": metadata,
    },
    required=("amount", "currency", "destination"),
    without_effect=without_effect("source_type"),
)
UPDATE_TRANSFER = Parameters({"description": clearable(text), "metadata": metadata})
TRANSFER_LIST = listing(destination=text, transfer_group=text)
CREATE_REVERSAL = Parameters(
    {"amount": integer, "metadata": metadata, "refund_application_fee": boolean},
    without_effect=without_effect("description"),
)
FEE_REFUND = Parameters({"amount": integer, "metadata": metadata})
CREATE_TOPUP = Parameters(
    {
        "amount": integer,
        "currency": text,
        "description": text,
        "metadata": metadata,
        "statement_descriptor": text,
        "transfer_group": text,
    },
    required=("amount", "currency"),
    without_effect=without_effect("payment_method payment_method_options source"),
)
PAGES_ONLY = Parameters(dict(PAGE))
