"""The states of a payment, a refund, a dispute, a mint, a share and its transfers, a group and its members, and ONE
table of legal moves for each.

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

    warning_needs_response -> warning_under_review -> warning_closed
               +----------------------+-> (escalated) needs_response -> under_review -> won | lost
    lost -> won | appeal_needs_response -> appeal_under_review -> won | lost
    anything but a closed one -> prevented

    queued -> submitted -> mined -> confirmed -> voiding -> voided (the ticket was refunded)
      ^          |  ^-------+----------+ (reorganised away)
      +-- failed, or the transaction came to nothing; a refund before the mint -> canceled

    share     held (in escrow) -> released -> settled -> (more was taken back, or a loss was won) released | held
    transfer  requested -> sending -> paid | refused (its shares are measured anew), or canceled before it was sent
    reversal  requested -> sending -> reversed | short (what did not come back is a receivable)

    open -> complete (every share secured) -> settled (every share captured)      of a group
      |        +------------------------------+-> cancelled -> voided
      +-> expired | cancelled -> voided
    invited -> paying -> held -> paid -> refunded                                   of its members
                  +-> failed (pay again) ; voided: nothing of it is held or kept

A dispute is at Stripe and we only look at it, now and then: so it may make several of these steps between two looks,
and its legal moves are all that a way of steps leads to. None leads out of won, warning_closed or prevented.

The database holds the same tables (legal_moves, migrations 0001, 0008, 0009, 0020, 0025, 0030) and refuses every other
move by itself; a test compares the two. A payment's `failed` is not final on purpose: Stripe keeps the intent of a
declined payment open, and a buyer who then pays it with another card has really paid. Its `succeeded` and `canceled`
are final.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)


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


class DisputeStatus(StrEnum):
    """Stripe's own words (docs.stripe.com/api/disputes/object); those of an inquiry begin with `warning_`."""

    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    APPEAL_NEEDS_RESPONSE = "appeal_needs_response"
    APPEAL_UNDER_REVIEW = "appeal_under_review"
    PREVENTED = "prevented"


_D = DisputeStatus
_DISPUTE_STEPS: dict[DisputeStatus, frozenset[DisputeStatus]] = {
    _D.WARNING_NEEDS_RESPONSE: frozenset({_D.WARNING_UNDER_REVIEW, _D.WARNING_CLOSED, _D.NEEDS_RESPONSE, _D.PREVENTED}),
    _D.WARNING_UNDER_REVIEW: frozenset({_D.WARNING_CLOSED, _D.NEEDS_RESPONSE, _D.PREVENTED}),
    _D.WARNING_CLOSED: frozenset(),
    _D.NEEDS_RESPONSE: frozenset({_D.UNDER_REVIEW, _D.WON, _D.LOST, _D.PREVENTED}),
    _D.UNDER_REVIEW: frozenset({_D.WON, _D.LOST, _D.PREVENTED}),
    _D.WON: frozenset(),
    _D.LOST: frozenset({_D.WON, _D.APPEAL_NEEDS_RESPONSE}),
    _D.APPEAL_NEEDS_RESPONSE: frozenset({_D.APPEAL_UNDER_REVIEW, _D.WON, _D.LOST}),
    _D.APPEAL_UNDER_REVIEW: frozenset({_D.WON, _D.LOST}),
    _D.PREVENTED: frozenset(),
}


def _reachable(origin: DisputeStatus) -> frozenset[DisputeStatus]:
    seen: set[DisputeStatus] = set()
    ahead = set(_DISPUTE_STEPS[origin])
    while ahead:
        status = ahead.pop()
        seen.add(status)
        ahead |= _DISPUTE_STEPS[status] - seen
    return frozenset(seen - {origin})


DISPUTE_MOVES: dict[DisputeStatus, frozenset[DisputeStatus]] = {status: _reachable(status) for status in DisputeStatus}
# Evidence may be sent, and only then.
ANSWERABLE = frozenset({_D.WARNING_NEEDS_RESPONSE, _D.NEEDS_RESPONSE, _D.APPEAL_NEEDS_RESPONSE})
UNDER_REVIEW = frozenset({_D.WARNING_UNDER_REVIEW, _D.UNDER_REVIEW, _D.APPEAL_UNDER_REVIEW})
CLOSED_DISPUTES = frozenset({_D.WON, _D.LOST, _D.WARNING_CLOSED, _D.PREVENTED})
# The bank has the money and keeps it, for all that is known.
LOST_DISPUTES = frozenset({_D.LOST, _D.PREVENTED})
# The bank has taken the money, or given it to the buyer: Stripe refuses a refund beside it. An inquiry takes nothing.
FORBIDS_REFUND = frozenset(
    {_D.NEEDS_RESPONSE, _D.UNDER_REVIEW, _D.APPEAL_NEEDS_RESPONSE, _D.APPEAL_UNDER_REVIEW} | LOST_DISPUTES
)


class MintState(StrEnum):
    QUEUED = "queued"
    SUBMITTED = "submitted"
    MINED = "mined"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELED = "canceled"
    VOIDING = "voiding"
    VOIDED = "voided"


_K = MintState
MINT_MOVES: dict[MintState, frozenset[MintState]] = {
    _K.QUEUED: frozenset({_K.SUBMITTED, _K.CONFIRMED, _K.FAILED, _K.CANCELED}),
    _K.SUBMITTED: frozenset({_K.MINED, _K.QUEUED, _K.FAILED}),
    _K.MINED: frozenset({_K.CONFIRMED, _K.SUBMITTED}),
    _K.CONFIRMED: frozenset({_K.SUBMITTED, _K.VOIDING}),
    _K.FAILED: frozenset({_K.QUEUED, _K.CANCELED}),
    _K.CANCELED: frozenset(),
    _K.VOIDING: frozenset({_K.VOIDED, _K.CONFIRMED}),
    _K.VOIDED: frozenset({_K.VOIDING}),
}


class NonceState(StrEnum):
    """One nonce of a signer. `lost`: somebody else's transaction took it; `final`: too deep to be reorganised."""

    OPEN = "open"
    MINED = "mined"
    FINAL = "final"
    REVERTED = "reverted"
    LOST = "lost"


_L = NonceState
SLOT_MOVES: dict[NonceState, frozenset[NonceState]] = {
    _L.OPEN: frozenset({_L.MINED, _L.REVERTED, _L.LOST}),
    _L.MINED: frozenset({_L.FINAL, _L.OPEN}),
    _L.FINAL: frozenset({_L.OPEN}),
    _L.REVERTED: frozenset({_L.OPEN}),
    _L.LOST: frozenset({_L.OPEN}),
}


class GroupState(StrEnum):
    OPEN = "open"
    COMPLETE = "complete"
    SETTLED = "settled"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    VOIDED = "voided"


_G = GroupState
GROUP_MOVES: dict[GroupState, frozenset[GroupState]] = {
    _G.OPEN: frozenset({_G.COMPLETE, _G.EXPIRED, _G.CANCELLED}),
    _G.COMPLETE: frozenset({_G.SETTLED, _G.CANCELLED}),
    _G.SETTLED: frozenset({_G.CANCELLED}),
    _G.EXPIRED: frozenset({_G.VOIDED}),
    _G.CANCELLED: frozenset({_G.VOIDED}),
    _G.VOIDED: frozenset(),
}
# It does not come together: what is held is released, and what is captured given back.
ENDING_GROUPS = frozenset({_G.EXPIRED, _G.CANCELLED})


class MemberState(StrEnum):
    INVITED = "invited"
    PAYING = "paying"
    HELD = "held"
    PAID = "paid"
    FAILED = "failed"
    VOIDED = "voided"
    REFUNDED = "refunded"


_M = MemberState
MEMBER_MOVES: dict[MemberState, frozenset[MemberState]] = {
    _M.INVITED: frozenset({_M.PAYING, _M.VOIDED}),
    _M.PAYING: frozenset({_M.HELD, _M.PAID, _M.FAILED, _M.VOIDED, _M.REFUNDED}),
    _M.HELD: frozenset({_M.PAID, _M.FAILED, _M.VOIDED, _M.REFUNDED}),
    _M.PAID: frozenset({_M.FAILED, _M.REFUNDED}),
    _M.FAILED: frozenset({_M.PAYING, _M.HELD, _M.PAID, _M.VOIDED, _M.REFUNDED}),
    _M.VOIDED: frozenset(),
    _M.REFUNDED: frozenset(),
}
SECURED = frozenset({_M.HELD, _M.PAID})
# Nobody is paying these shares: their members may, or the organiser for them.
MISSING = frozenset({_M.INVITED, _M.FAILED})


class ShareState(StrEnum):
    HELD = "held"
    RELEASED = "released"
    SETTLED = "settled"


_H = ShareState
SHARE_MOVES: dict[ShareState, frozenset[ShareState]] = {
    _H.HELD: frozenset({_H.RELEASED, _H.SETTLED}),
    _H.RELEASED: frozenset({_H.SETTLED}),
    _H.SETTLED: frozenset({_H.RELEASED, _H.HELD}),
}


class TransferState(StrEnum):
    REQUESTED = "requested"
    SENDING = "sending"
    PAID = "paid"
    REFUSED = "refused"
    CANCELED = "canceled"


_T = TransferState
TRANSFER_MOVES: dict[TransferState, frozenset[TransferState]] = {
    _T.REQUESTED: frozenset({_T.SENDING, _T.PAID, _T.CANCELED}),
    _T.SENDING: frozenset({_T.PAID, _T.REFUSED}),
    _T.PAID: frozenset(),
    _T.REFUSED: frozenset(),
    _T.CANCELED: frozenset(),
}


class ReversalState(StrEnum):
    REQUESTED = "requested"
    SENDING = "sending"
    REVERSED = "reversed"
    SHORT = "short"


_V = ReversalState
REVERSAL_MOVES: dict[ReversalState, frozenset[ReversalState]] = {
    _V.REQUESTED: frozenset({_V.SENDING, _V.SHORT}),
    _V.SENDING: frozenset({_V.REVERSED, _V.SHORT}),
    _V.REVERSED: frozenset(),
    _V.SHORT: frozenset(),
}


def leading_to(moves: Mapping[State, frozenset[State]], state: State) -> list[str]:
    """Names of the states from which one move of this table leads to `state`."""
    return sorted(origin.value for origin, targets in moves.items() if state in targets)
