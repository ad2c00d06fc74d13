"""The states of a refund, and of a mass refund (the refunds of a whole event), with their legal moves.

requested -> sending -+-> pending, requires_action -> succeeded | failed | canceled
                      +-> succeeded -------------> failed (the buyer's bank sent the money back)
                      +-> failed | canceled | refused

[awaiting_approval ->] running <-> waiting_for_balance
                       running <-> paused <- waiting_for_balance
                       running --> done
canceled (an operator stopped it) from any state before done
"""

from enum import StrEnum

from db.lifecycle import RespelledState, legal_moves


# `refused` is ours: Stripe did not accept the request. `failed` and `canceled` are Stripe's: it accepted and undid it.
# The others are named as Stripe names them (docs.stripe.com/api/refunds/object#refund_object-status). No docstring:
# it would become the description of the schema in the OpenAPI document.
class RefundState(StrEnum):
    REQUESTED = "requested"
    SENDING = "sending"
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    REFUSED = "refused"


REFUND_MOVES = legal_moves(
    RefundState,
    requested="sending",
    sending="pending requires_action succeeded failed canceled refused",
    pending="requires_action succeeded failed canceled",
    requires_action="pending succeeded failed canceled",
    succeeded="failed",
    failed="",
    canceled="",
    refused="",
)
# These have given their reservation back: the buyer got nothing by them.
DEAD_REFUNDS = frozenset({RefundState.FAILED, RefundState.CANCELED, RefundState.REFUSED})


class MassRefundState(RespelledState):
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    WAITING_FOR_BALANCE = "waiting_for_balance"
    PAUSED = "paused"
    DONE = "done"
    CANCELED = "canceled"


MASS_REFUND_MOVES = legal_moves(
    MassRefundState,
    awaiting_approval="running canceled",
    running="waiting_for_balance paused done canceled",
    waiting_for_balance="running paused canceled",
    paused="running canceled",
    done="",
    canceled="",
)
# A message may take the next step of these.
ACTIVE_MASS_REFUNDS = frozenset({MassRefundState.RUNNING, MassRefundState.WAITING_FOR_BALANCE})
