"""The list of operations: method, URL, what it takes, who answers. What Stripe has and this list has not is a 501."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.local.stripe.bank import (
    balance,
    capturing,
    charges,
    customers,
    payment_intents,
    payment_methods,
    searching,
)
from deploy.local.stripe.unbuilt import UNBUILT
from deploy.local.stripe.webhooks import endpoints, events
from deploy.local.stripe.wire.errors import Json, StripeError, not_implemented
from deploy.local.stripe.wire.parameters import (
    ADDRESS,
    CREATED,
    PAGE,
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
from deploy.local.stripe.world import Call


@dataclass(frozen=True)
class Operation:
    method: str
    template: str
    takes: Parameters
    answer: Callable[[Call], Json]
    check: Callable[[Json], None] | None = None


_NO_LONGER = {"payment_method_types": "payment_method_types_no_longer_supported"}
_CAPTURE_METHOD = one_of("automatic", "automatic_async", "manual")
_INTENT_LABELS: dict[str, Field] = {
    "description": clearable(text),
    "receipt_email": clearable(text),
    "setup_future_usage": clearable(one_of("off_session", "on_session")),
    "shipping": clearable(SHIPPING),
    "statement_descriptor": clearable(text),
    "statement_descriptor_suffix": clearable(text),
    "transfer_group": text,
    "metadata": metadata,
}
_CONFIRMING: dict[str, Field] = {
    "payment_method": text,
    "return_url": text,
    "off_session": either(boolean, one_of("one_off", "recurring")),
    "error_on_requires_action": boolean,
    "use_stripe_sdk": boolean,
    "capture_method": _CAPTURE_METHOD,
}
_CONFIRM_LABELS = {name: _INTENT_LABELS[name] for name in ("receipt_email", "setup_future_usage", "shipping")}
_BILLING = nested(
    {"name": clearable(text), "email": clearable(text), "phone": clearable(text), "address": nested(ADDRESS)}
)
_CUSTOMER: dict[str, Field] = {
    "address": clearable(nested(ADDRESS)),
    "description": clearable(text),
    "email": clearable(text),
    "metadata": metadata,
    "name": clearable(text),
    "phone": clearable(text),
    "preferred_locales": list_of(text),
    "shipping": clearable(SHIPPING),
    "tax_exempt": one_of("none", "exempt", "reverse"),
}


def _without_effect(names: str) -> frozenset[str]:
    return frozenset(names.split())


_CONNECT = "application_fee_amount on_behalf_of transfer_data"
_INTENT_EXTRAS = (
    "amount_details confirmation_token customer_account hooks mandate mandate_data payment_details"
    " payment_method_configuration payment_method_data payment_method_options radar_options"
)
_CUSTOMER_EXTRAS = _without_effect(
    "balance bank_account business_name card cash_balance default_alipay_account default_bank_account default_card"
    " default_source individual_name invoice_prefix invoice_settings next_invoice_sequence payment_method source tax"
    " tax_id_data test_clock"
)
_METHOD_EXTRAS = _without_effect(
    "bacs_debit customer customer_balance ideal link payment_method radar_options sepa_debit us_bank_account payto"
)

_CREATE_INTENT = Parameters(
    _INTENT_LABELS
    | _CONFIRMING
    | {
        "amount": integer,
        "currency": text,
        "customer": text,
        "confirm": boolean,
        "confirmation_method": one_of("automatic", "manual"),
        "automatic_payment_methods": nested({"enabled": boolean, "allow_redirects": one_of("always", "never")}),
        "allowed_payment_method_types": list_of(text),
        "excluded_payment_method_types": list_of(text),
    },
    required=("amount", "currency"),
    without_effect=_without_effect(f"{_CONNECT} {_INTENT_EXTRAS}"),
    no_longer=_NO_LONGER,
)
_UPDATE_INTENT = Parameters(
    _INTENT_LABELS
    | {
        "amount": integer,
        "currency": text,
        "customer": text,
        "payment_method": text,
        "capture_method": _CAPTURE_METHOD,
    },
    without_effect=_without_effect(
        f"{_CONNECT} {_INTENT_EXTRAS} allowed_payment_method_types excluded_payment_method_types"
    ),
    no_longer=_NO_LONGER,
)
_CONFIRM_INTENT = Parameters(
    _CONFIRMING | _CONFIRM_LABELS,
    without_effect=_without_effect(
        f"{_INTENT_EXTRAS} allowed_payment_method_types excluded_payment_method_types amount_to_confirm client_secret"
    ),
    no_longer=_NO_LONGER,
)
_CAPTURE_INTENT = Parameters(
    {
        "amount_to_capture": integer,
        "final_capture": boolean,
        "metadata": metadata,
        "statement_descriptor": text,
        "statement_descriptor_suffix": text,
    },
    without_effect=_without_effect("amount_details application_fee_amount hooks payment_details transfer_data"),
)
_CANCEL_INTENT = Parameters(
    {"cancellation_reason": one_of("duplicate", "fraudulent", "requested_by_customer", "abandoned")}
)
_UPDATE_CHARGE = Parameters(
    {name: _INTENT_LABELS[name] for name in ("description", "receipt_email", "shipping", "transfer_group", "metadata")}
    | {"customer": text, "fraud_details": nested({"user_report": one_of("fraudulent", "safe")})}
)
_WINDOW = Parameters(dict(PAGE) | {"created": CREATED})
_NOTHING = Parameters()


def _listing(without_effect: str = "", **filters: Field) -> Parameters:
    return Parameters(dict(_WINDOW.fields) | filters, without_effect=_without_effect(without_effect))


_METHOD_LIST = Parameters(
    dict(PAGE) | {"customer": text, "type": text}, without_effect=_without_effect("allow_redisplay customer_account")
)
_ENDPOINT: dict[str, Field] = {
    "url": text,
    "enabled_events": list_of(text),
    "description": clearable(text),
    "metadata": metadata,
}
_CREATE_ENDPOINT = Parameters(_ENDPOINT | {"api_version": text, "connect": boolean}, required=("url", "enabled_events"))

OPERATIONS = (
    Operation("POST", "/v1/payment_intents", _CREATE_INTENT, payment_intents.create, payment_intents.check),
    Operation("GET", "/v1/payment_intents", _listing("customer_account", customer=text), payment_intents.list_all),
    Operation(
        "GET",
        "/v1/payment_intents/search",
        Parameters({"query": text, "limit": integer, "page": text}, required=("query",)),
        searching.search,
    ),
    Operation(
        "GET",
        "/v1/payment_intents/*",
        Parameters(without_effect=_without_effect("client_secret")),
        payment_intents.retrieve,
    ),
    Operation("POST", "/v1/payment_intents/*", _UPDATE_INTENT, payment_intents.update, payment_intents.check),
    Operation("POST", "/v1/payment_intents/*/confirm", _CONFIRM_INTENT, payment_intents.confirm),
    Operation("POST", "/v1/payment_intents/*/capture", _CAPTURE_INTENT, capturing.capture),
    Operation("POST", "/v1/payment_intents/*/cancel", _CANCEL_INTENT, capturing.cancel),
    Operation("GET", "/v1/charges", _listing("transfer_group", customer=text, payment_intent=text), charges.list_all),
    Operation("GET", "/v1/charges/*", _NOTHING, charges.retrieve),
    Operation("POST", "/v1/charges/*", _UPDATE_CHARGE, charges.update),
    Operation("POST", "/v1/customers", Parameters(_CUSTOMER, without_effect=_CUSTOMER_EXTRAS), customers.create),
    Operation("GET", "/v1/customers", _listing("email test_clock"), customers.list_all),
    Operation("GET", "/v1/customers/*", _NOTHING, customers.retrieve),
    Operation("POST", "/v1/customers/*", Parameters(_CUSTOMER, without_effect=_CUSTOMER_EXTRAS), customers.update),
    Operation("DELETE", "/v1/customers/*", _NOTHING, customers.delete),
    Operation("GET", "/v1/customers/*/payment_methods", _METHOD_LIST, payment_methods.list_of_customer),
    Operation(
        "POST",
        "/v1/payment_methods",
        Parameters(
            {"type": text, "card": nested({"token": text}), "billing_details": _BILLING, "metadata": metadata},
            required=("type",),
            without_effect=_METHOD_EXTRAS | {"allow_redisplay"},
        ),
        payment_methods.create,
    ),
    Operation("GET", "/v1/payment_methods", _METHOD_LIST, payment_methods.list_all),
    Operation("GET", "/v1/payment_methods/*", _NOTHING, payment_methods.retrieve),
    Operation(
        "POST",
        "/v1/payment_methods/*",
        Parameters(
            {"billing_details": _BILLING, "metadata": metadata},
            without_effect=_METHOD_EXTRAS | {"allow_redisplay", "card"},
        ),
        payment_methods.update,
    ),
    Operation(
        "POST",
        "/v1/payment_methods/*/attach",
        Parameters({"customer": text}, required=("customer",), without_effect=_without_effect("customer_account")),
        payment_methods.attach,
    ),
    Operation("POST", "/v1/payment_methods/*/detach", _NOTHING, payment_methods.detach),
    Operation("GET", "/v1/balance", _NOTHING, balance.retrieve),
    Operation(
        "GET",
        "/v1/balance_transactions",
        _listing("currency payout", source=text, type=text),
        balance.list_transactions,
    ),
    Operation("GET", "/v1/balance_transactions/*", _NOTHING, balance.retrieve_transaction),
    Operation(
        "GET",
        "/v1/events",
        _listing(type=text, types=list_of(text), delivery_success=boolean),
        events.list_all,
    ),
    Operation("GET", "/v1/events/*", _NOTHING, events.retrieve),
    Operation("POST", "/v1/webhook_endpoints", _CREATE_ENDPOINT, endpoints.create),
    Operation("GET", "/v1/webhook_endpoints", Parameters(dict(PAGE)), endpoints.list_all),
    Operation("GET", "/v1/webhook_endpoints/*", _NOTHING, endpoints.retrieve),
    Operation("POST", "/v1/webhook_endpoints/*", Parameters(_ENDPOINT | {"disabled": boolean}), endpoints.update),
    Operation("DELETE", "/v1/webhook_endpoints/*", _NOTHING, endpoints.delete),
)

_BUILT = {(operation.method, *operation.template.split("/")[1:]): operation for operation in OPERATIONS}
_KNOWN = {(method, *template.split("/")[1:]) for method, template in UNBUILT}


def route(method: str, path: str) -> tuple[Operation, tuple[str, ...]]:
    """The operation and the ids of the URL; 404 for what Stripe has not, 501 for what the emulator has not."""
    parts = path.split("/")[1:]
    for shape, ids in _shapes(parts):
        operation = _BUILT.get((method, *shape))
        if operation is not None:
            return operation, ids
    for shape, _ in _shapes(parts):
        if (method, *shape) in _KNOWN:
            raise not_implemented(f"{method} /{'/'.join(shape)}")
    message = f"Unrecognized request URL ({method}: {path})."
    raise StripeError(404, "invalid_request_error", message)


def _shapes(parts: list[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The path itself, then with its third part as an id, then with its third and fifth."""
    shapes: list[tuple[tuple[str, ...], tuple[str, ...]]] = [(tuple(parts), ())]
    if len(parts) >= 3:
        shapes.append(((*parts[:2], "*", *parts[3:]), (parts[2],)))
    if len(parts) >= 5:
        shapes.append(((*parts[:2], "*", parts[3], "*"), (parts[2], parts[4])))
    return shapes
