"""The states of a PaymentIntent: which call may be made in which of them.

Source: docs.stripe.com/payments/paymentintents/lifecycle and the specification of each operation.
"""

from ...state.store import Record
from ...wire.errors import unexpected_state

_OPEN = frozenset(("requires_payment_method", "requires_confirmation", "requires_action"))
MOVES = {
    "confirmed": _OPEN,
    "captured": frozenset(("requires_capture",)),
    "canceled": _OPEN | {"requires_capture"},
    "updated": _OPEN,
}


def require(intent: Record, verb: str) -> None:
    """Whether the intent may be confirmed, captured, canceled or updated now (`verb`, a key of `MOVES`).

    Raises:
        StripeError: 400 (`payment_intent_unexpected_state`) if the status does not allow the call; it is kept under the
            key.
    """
    if intent.body["status"] not in MOVES[verb]:
        raise unexpected_state(intent.body, verb)
