"""The list of operations: method, URL, what it takes, who answers. What Stripe has and this list has not is a 501."""

import contextlib

from ..resources.balance import ledger as balance
from ..resources.charges import lifecycle as charges
from ..resources.customers import api as customers
from ..resources.disputes import api as disputes
from ..resources.early_fraud_warnings import lifecycle as early_fraud_warnings
from ..resources.events import api as events
from ..resources.operation import Operation
from ..resources.payment_intents import api as payment_intents
from ..resources.payment_intents import lifecycle as lifecycle_of_intents
from ..resources.payment_intents import search
from ..resources.payment_methods import lifecycle as payment_methods
from ..resources.payouts import api as payouts
from ..resources.refunds import api as refunds
from ..resources.webhook_endpoints import api as webhook_endpoints
from ..wire.errors import StripeError, not_implemented
from ..wire.parameters import PAGE, Parameters, boolean, integer, list_of, metadata, nested, text
from .accepted import (
    BILLING,
    CANCEL_INTENT,
    CAPTURE_INTENT,
    CHARGE_LIST,
    CONFIRM_INTENT,
    CREATE_ENDPOINT,
    CREATE_INTENT,
    CREATE_PAYOUT,
    CREATE_REFUND,
    CUSTOMER,
    CUSTOMER_EXTRAS,
    ENDPOINT,
    LABELS_ONLY,
    METHOD_EXTRAS,
    METHOD_LIST,
    NOTHING,
    TRANSACTION_LIST,
    UPDATE_CHARGE,
    UPDATE_DISPUTE,
    UPDATE_INTENT,
    listing,
    without_effect,
)
from .routes_connect import CONNECT_OPERATIONS
from .unbuilt import UNBUILT

OPERATIONS = (
    Operation("POST", "/v1/payment_intents", CREATE_INTENT, payment_intents.create, payment_intents.check),
    Operation("GET", "/v1/payment_intents", listing("customer_account", customer=text), payment_intents.list_all),
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
        payment_intents.retrieve,
    ),
    Operation("POST", "/v1/payment_intents/*", UPDATE_INTENT, payment_intents.update, payment_intents.check),
    Operation("POST", "/v1/payment_intents/*/confirm", CONFIRM_INTENT, payment_intents.confirm),
    Operation("POST", "/v1/payment_intents/*/capture", CAPTURE_INTENT, lifecycle_of_intents.capture),
    Operation("POST", "/v1/payment_intents/*/cancel", CANCEL_INTENT, lifecycle_of_intents.cancel),
    Operation("GET", "/v1/charges", CHARGE_LIST, charges.list_all),
    Operation("GET", "/v1/charges/*", NOTHING, charges.retrieve),
    Operation("POST", "/v1/charges/*", UPDATE_CHARGE, charges.update),
    Operation("POST", "/v1/refunds", CREATE_REFUND, refunds.create, refunds.check),
    Operation("GET", "/v1/refunds", listing(charge=text, payment_intent=text), refunds.list_all),
    Operation("GET", "/v1/refunds/*", NOTHING, refunds.retrieve),
    Operation("POST", "/v1/refunds/*", LABELS_ONLY, refunds.update),
    Operation("POST", "/v1/refunds/*/cancel", NOTHING, refunds.cancel),
    Operation("POST", "/v1/payouts", CREATE_PAYOUT, payouts.create, payouts.check),
    Operation("GET", "/v1/payouts", listing("arrival_date destination", status=text), payouts.list_all),
    Operation("GET", "/v1/payouts/*", NOTHING, payouts.retrieve),
    Operation("POST", "/v1/payouts/*", LABELS_ONLY, payouts.update),
    Operation("POST", "/v1/payouts/*/cancel", NOTHING, payouts.cancel),
    Operation("GET", "/v1/disputes", listing(charge=text, payment_intent=text), disputes.list_all),
    Operation("GET", "/v1/disputes/*", NOTHING, disputes.retrieve),
    Operation("POST", "/v1/disputes/*", UPDATE_DISPUTE, disputes.update, disputes.check),
    Operation("POST", "/v1/disputes/*/close", NOTHING, disputes.close),
    Operation(
        "GET",
        "/v1/radar/early_fraud_warnings",
        listing(charge=text, payment_intent=text),
        early_fraud_warnings.list_all,
    ),
    Operation("GET", "/v1/radar/early_fraud_warnings/*", NOTHING, early_fraud_warnings.retrieve),
    Operation("POST", "/v1/customers", Parameters(CUSTOMER, without_effect=CUSTOMER_EXTRAS), customers.create),
    Operation("GET", "/v1/customers", listing("email test_clock"), customers.list_all),
    Operation("GET", "/v1/customers/*", NOTHING, customers.retrieve),
    Operation("POST", "/v1/customers/*", Parameters(CUSTOMER, without_effect=CUSTOMER_EXTRAS), customers.update),
    Operation("DELETE", "/v1/customers/*", NOTHING, customers.delete),
    Operation("GET", "/v1/customers/*/payment_methods", METHOD_LIST, payment_methods.list_of_customer),
    Operation(
        "POST",
        "/v1/payment_methods",
        Parameters(
            {"type": text, "card": nested({"token": text}), "billing_details": BILLING, "metadata": metadata},
            required=("type",),
            without_effect=METHOD_EXTRAS | {"allow_redisplay"},
        ),
        payment_methods.create,
    ),
    Operation("GET", "/v1/payment_methods", METHOD_LIST, payment_methods.list_all),
    Operation("GET", "/v1/payment_methods/*", NOTHING, payment_methods.retrieve),
    Operation(
        "POST",
        "/v1/payment_methods/*",
        Parameters(
            {"billing_details": BILLING, "metadata": metadata},
            without_effect=METHOD_EXTRAS | {"allow_redisplay", "card"},
        ),
        payment_methods.update,
    ),
    Operation(
        "POST",
        "/v1/payment_methods/*/attach",
        Parameters({"customer": text}, required=("customer",), without_effect=without_effect("customer_account")),
        payment_methods.attach,
    ),
    Operation("POST", "/v1/payment_methods/*/detach", NOTHING, payment_methods.detach),
    Operation("GET", "/v1/balance", NOTHING, balance.retrieve),
    Operation("GET", "/v1/balance_transactions", TRANSACTION_LIST, balance.list_transactions),
    Operation("GET", "/v1/balance_transactions/*", NOTHING, balance.retrieve_transaction),
    Operation(
        "GET",
        "/v1/events",
        listing(type=text, types=list_of(text), delivery_success=boolean),
        events.list_all,
    ),
    Operation("GET", "/v1/events/*", NOTHING, events.retrieve),
    Operation("POST", "/v1/webhook_endpoints", CREATE_ENDPOINT, webhook_endpoints.create),
    Operation("GET", "/v1/webhook_endpoints", Parameters(dict(PAGE)), webhook_endpoints.list_all),
    Operation("GET", "/v1/webhook_endpoints/*", NOTHING, webhook_endpoints.retrieve),
    Operation(
        "POST", "/v1/webhook_endpoints/*", Parameters(ENDPOINT | {"disabled": boolean}), webhook_endpoints.update
    ),
    Operation("DELETE", "/v1/webhook_endpoints/*", NOTHING, webhook_endpoints.delete),
    *CONNECT_OPERATIONS,
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


def endpoint_of(method: str, path: str) -> str:
    """What Stripe's limiter counts together: one operation, whatever object it is about."""
    with contextlib.suppress(StripeError):
        path = route(method, path)[0].template
    return f"{method} {path}"


def _shapes(parts: list[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The path itself, then with its third part as an id, then its fourth (/v1/radar/...), then its third and fifth."""
    shapes: list[tuple[tuple[str, ...], tuple[str, ...]]] = [(tuple(parts), ())]
    if len(parts) >= 3:
        shapes.append(((*parts[:2], "*", *parts[3:]), (parts[2],)))
    if len(parts) >= 4:
        shapes.append(((*parts[:3], "*", *parts[4:]), (parts[3],)))
    if len(parts) >= 5:
        shapes.append(((*parts[:2], "*", parts[3], "*"), (parts[2], parts[4])))
    return shapes
