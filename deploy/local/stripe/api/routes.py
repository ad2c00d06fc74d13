"""The list of operations: method, URL, what it takes, who answers. What Stripe has and this list has not is a 501."""

import contextlib

from ..resources.accounts import operations as accounts
from ..resources.application_fees import operations as application_fees
from ..resources.balance import operations as balance
from ..resources.charges import operations as charges
from ..resources.customers import operations as customers
from ..resources.disputes import operations as disputes
from ..resources.early_fraud_warnings import operations as early_fraud_warnings
from ..resources.events import operations as events
from ..resources.operation import Operation
from ..resources.payment_intents import operations as payment_intents
from ..resources.payment_methods import operations as payment_methods
from ..resources.payouts import operations as payouts
from ..resources.refunds import operations as refunds
from ..resources.topups import operations as topups
from ..resources.transfer_reversals import operations as transfer_reversals
from ..resources.transfers import operations as transfers
from ..resources.webhook_endpoints import operations as webhook_endpoints
from ..wire.errors import StripeError, not_implemented
from .unbuilt import UNBUILT

OPERATIONS: tuple[Operation, ...] = (
    *payment_intents.OPERATIONS,
    *charges.OPERATIONS,
    *refunds.OPERATIONS,
    *payouts.OPERATIONS,
    *disputes.OPERATIONS,
    *early_fraud_warnings.OPERATIONS,
    *customers.OPERATIONS,
    *payment_methods.OPERATIONS,
    *balance.OPERATIONS,
    *events.OPERATIONS,
    *webhook_endpoints.OPERATIONS,
    *accounts.OPERATIONS,
    *transfers.OPERATIONS,
    *transfer_reversals.OPERATIONS,
    *application_fees.OPERATIONS,
    *topups.OPERATIONS,
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
