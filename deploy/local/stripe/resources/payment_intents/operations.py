"""What the operations of /v1/payment_intents take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import (
    SHIPPING,
    Field,
    Parameters,
    boolean,
    clearable,
    either,
    integer,
    list_of,
    metadata,
    nested,
    one_of,
    text,
)
from ..operation import Operation, listing, without_effect
from . import api, search

NO_LONGER = {"payment_method_types": "payment_method_types_no_longer_supported"}
CAPTURE_METHOD = one_of("automatic", "automatic_async", "manual")
INTENT_LABELS: dict[str, Field] = {
    "description": clearable(text),
    "receipt_email": clearable(text),
    "setup_future_usage": clearable(one_of("off_session", "on_session")),
    "shipping": clearable(SHIPPING),
    "statement_descriptor": clearable(text),
    "statement_descriptor_suffix": clearable(text),
    "transfer_group": text,
    "metadata": metadata,
}
CONFIRMING: dict[str, Field] = {
    "payment_method": text,
    "return_url": text,
    "off_session": either(boolean, one_of("one_off", "recurring")),
    "error_on_requires_action": boolean,
    "use_stripe_sdk": boolean,
    "capture_method": CAPTURE_METHOD,
}
CONFIRM_LABELS = {name: INTENT_LABELS[name] for name in ("receipt_email", "setup_future_usage", "shipping")}
INTENT_EXTRAS = (
    "amount_details confirmation_token customer_account hooks mandate mandate_data payment_details"
    " payment_method_configuration payment_method_data payment_method_options radar_options"
)
_TRANSFER: dict[str, Field] = {
    "amount": integer,
    "description": text,
    "metadata": metadata,
    "payment_data": nested({"description": text, "metadata": metadata}),
}
CREATE_INTENT = Parameters(
    INTENT_LABELS
    | CONFIRMING
    | {
        "amount": integer,
        "currency": text,
        "customer": text,
        "confirm": boolean,
        "confirmation_method": one_of("automatic", "manual"),
        "automatic_payment_methods": nested({"enabled": boolean, "allow_redirects": one_of("always", "never")}),
        "allowed_payment_method_types": list_of(text),
        "excluded_payment_method_types": list_of(text),
        "application_fee_amount": integer,
        "on_behalf_of": text,
        "transfer_data": nested(_TRANSFER | {"destination": text}),
    },
    required=("amount", "currency"),
    without_effect=without_effect(INTENT_EXTRAS),
    no_longer=NO_LONGER,
)
UPDATE_INTENT = Parameters(
    INTENT_LABELS
    | {
        "amount": integer,
        "currency": text,
        "customer": text,
        "payment_method": text,
        "capture_method": CAPTURE_METHOD,
        "application_fee_amount": clearable(integer),
        "transfer_data": nested(_TRANSFER),
    },
    without_effect=without_effect(f"{INTENT_EXTRAS} allowed_payment_method_types excluded_payment_method_types"),
    no_longer=NO_LONGER,
)
CONFIRM_INTENT = Parameters(
    CONFIRMING | CONFIRM_LABELS,
    without_effect=without_effect(
        f"{INTENT_EXTRAS} allowed_payment_method_types excluded_payment_method_types amount_to_confirm client_secret"
    ),
    no_longer=NO_LONGER,
)
CAPTURE_INTENT = Parameters(
    {
        "amount_to_capture": integer,
        "final_capture": boolean,
        "metadata": metadata,
        "statement_descriptor": text,
        "statement_descriptor_suffix": text,
        "application_fee_amount": integer,
        "transfer_data": nested({"amount": integer}),
    },
    without_effect=without_effect("amount_details hooks payment_details"),
)
CANCEL_INTENT = Parameters(
    {"cancellation_reason": one_of("duplicate", "fraudulent", "requested_by_customer", "abandoned")}
)
OPERATIONS = (
    Operation("POST", "/v1/payment_intents", CREATE_INTENT, api.create, api.check),
    Operation("GET", "/v1/payment_intents", listing("customer_account", customer=text), api.list_all),
    Operation(
        "GET",
        "/v1/payment_intents/search",
        Parameters({"query": text, "limit": integer, "page": text}, required=("query",)),
        search.search,
    ),
    Operation(
        "GET",
        "/v1/payment_intents/*",
        Parameters(without_effect=without_effect("client_secret")),
        api.retrieve,
    ),
    Operation("POST", "/v1/payment_intents/*", UPDATE_INTENT, api.update, api.check),
    Operation("POST", "/v1/payment_intents/*/confirm", CONFIRM_INTENT, api.confirm),
    Operation("POST", "/v1/payment_intents/*/capture", CAPTURE_INTENT, api.capture),
    Operation("POST", "/v1/payment_intents/*/cancel", CANCEL_INTENT, api.cancel),
)
