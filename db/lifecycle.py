"""The states of a payment and of a refund, and ONE table of legal moves for each.

    requested -> canceled (before anything was sent)
              -> charging -+-> succeeded
                           +-> authorized ------> succeeded | canceled
                           +-> requires_action -> succeeded | authorized | processing | failed | canceled
                           +-> processing ------> succeeded | authorized | requires_action | failed | canceled
                           +-> failed ----------> (another card on the same intent) succeeded | authorized | ...
                           +-> canceled

    requested -> sending -+-> pending, requires_action -> succeeded | failed | canceled
                          +-> succeeded -------------> failed (the buyer's bank sent the money back)
                          +-> failed | canceled | refused

The database holds the same tables (legal_moves, migrations 0001 and 0008) and refuses every other move by itself; a
test compares the two. A payment's `failed` is not final on purpose: Stripe keeps the intent of a declined payment open,
and a buyer who then pays it with another card has really paid. Its `succeeded` and `canceled` are final.
"""

from enum import StrEnum


class PaymentState(StrEnum):
    REQUESTED = "requested"
    CHARGING = "charging"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


_S = PaymentState
PAYMENT_MOVES: dict[PaymentState, frozenset[PaymentState]] = {
    _S.REQUESTED: frozenset({_S.CHARGING, _S.CANCELED}),
    _S.CHARGING: frozenset({_S.SUCCEEDED, _S.AUTHORIZED, _S.REQUIRES_ACTION, _S.PROCESSING, _S.FAILED, _S.CANCELED}),
    _S.REQUIRES_ACTION: frozenset({_S.SUCCEEDED, _S.AUTHORIZED, _S.PROCESSING, _S.FAILED, _S.CANCELED}),
    _S.PROCESSING: frozenset({_S.SUCCEEDED, _S.AUTHORIZED, _S.REQUIRES_ACTION, _S.FAILED, _S.CANCELED}),
    _S.AUTHORIZED: frozenset({_S.SUCCEEDED, _S.CANCELED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset({_S.SUCCEEDED, _S.AUTHORIZED, _S.REQUIRES_ACTION, _S.PROCESSING, _S.CANCELED}),
    _S.CANCELED: frozenset(),
}


class RefundState(StrEnum):
    REQUESTED = "requested"
    SENDING = "sending"
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    REFUSED = "refused"


_R = RefundState
REFUND_MOVES: dict[RefundState, frozenset[RefundState]] = {
    _R.REQUESTED: frozenset({_R.SENDING}),
    _R.SENDING: frozenset({_R.PENDING, _R.REQUIRES_ACTION, _R.SUCCEEDED, _R.FAILED, _R.CANCELED, _R.REFUSED}),
    _R.PENDING: frozenset({_R.REQUIRES_ACTION, _R.SUCCEEDED, _R.FAILED, _R.CANCELED}),
    _R.REQUIRES_ACTION: frozenset({_R.PENDING, _R.SUCCEEDED, _R.FAILED, _R.CANCELED}),
    _R.SUCCEEDED: frozenset({_R.FAILED}),
    _R.FAILED: frozenset(),
    _R.CANCELED: frozenset(),
    _R.REFUSED: frozenset(),
}
# These have given their reservation back: the buyer got nothing by them.
DEAD_REFUNDS = frozenset({_R.FAILED, _R.CANCELED, _R.REFUSED})


def states_that_may_become(state: PaymentState) -> list[str]:
    """Names of the states from which `state` can be reached in one move."""
    return sorted(origin.value for origin, targets in PAYMENT_MOVES.items() if state in targets)


def refund_states_that_may_become(state: RefundState) -> list[str]:
    """The same for a refund."""
    return sorted(origin.value for origin, targets in REFUND_MOVES.items() if state in targets)
