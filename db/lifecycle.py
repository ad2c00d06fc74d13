"""The states of a payment and ONE table of legal moves.

    requested -> charging -+-> succeeded
                           +-> authorized ------> succeeded | canceled
                           +-> requires_action -> succeeded | authorized | processing | failed | canceled
                           +-> processing ------> succeeded | authorized | requires_action | failed | canceled
                           +-> failed ----------> (another card on the same intent) succeeded | authorized | ...
                           +-> canceled

The database holds the same table (migration 0001, legal_moves) and refuses every other move by itself; a test compares
the two. `failed` is not final on purpose: Stripe keeps the intent of a declined payment open, and a buyer who then pays
it with another card has really paid. `succeeded` and `canceled` are final.
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
    _S.REQUESTED: frozenset({_S.CHARGING}),
    _S.CHARGING: frozenset({_S.SUCCEEDED, _S.AUTHORIZED, _S.REQUIRES_ACTION, _S.PROCESSING, _S.FAILED, _S.CANCELED}),
    _S.REQUIRES_ACTION: frozenset({_S.SUCCEEDED, _S.AUTHORIZED, _S.PROCESSING, _S.FAILED, _S.CANCELED}),
    _S.PROCESSING: frozenset({_S.SUCCEEDED, _S.AUTHORIZED, _S.REQUIRES_ACTION, _S.FAILED, _S.CANCELED}),
    _S.AUTHORIZED: frozenset({_S.SUCCEEDED, _S.CANCELED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset({_S.SUCCEEDED, _S.AUTHORIZED, _S.REQUIRES_ACTION, _S.PROCESSING, _S.CANCELED}),
    _S.CANCELED: frozenset(),
}


def states_that_may_become(state: PaymentState) -> list[str]:
    """Names of the states from which `state` can be reached in one move."""
    return sorted(origin.value for origin, targets in PAYMENT_MOVES.items() if state in targets)
