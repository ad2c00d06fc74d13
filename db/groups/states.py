"""The states of a group (several buyers of one order, all or nothing) and of its members, with their legal moves.

group     open -> complete (every contribution secured) -> settled (every contribution captured)
            |        +---------------------------------------+-> canceled -> voided
            +-> expired | canceled -> voided (nothing is held or kept any more)

member    invited -> paying -> held -> paid -> refunded
                        +-> failed (may pay again)
          voided: nothing of it is held or kept
"""

from enum import StrEnum

from db.lifecycle import RespelledState, legal_moves


class GroupState(RespelledState):
    OPEN = "open"
    COMPLETE = "complete"
    SETTLED = "settled"
    EXPIRED = "expired"
    CANCELED = "canceled"
    VOIDED = "voided"


GROUP_MOVES = legal_moves(
    GroupState,
    open="complete expired canceled",
    complete="settled canceled",
    settled="canceled",
    expired="voided",
    canceled="voided",
    voided="",
)
# It does not come together: what is held is released, and what is captured given back.
ENDING_GROUPS = frozenset({GroupState.EXPIRED, GroupState.CANCELED})


class MemberState(StrEnum):
    INVITED = "invited"
    PAYING = "paying"
    HELD = "held"
    PAID = "paid"
    FAILED = "failed"
    VOIDED = "voided"
    REFUNDED = "refunded"


MEMBER_MOVES = legal_moves(
    MemberState,
    invited="paying voided",
    paying="held paid failed voided refunded",
    held="paid failed voided refunded",
    paid="failed refunded",
    failed="paying held paid voided refunded",
    voided="",
    refunded="",
)
SECURED = frozenset({MemberState.HELD, MemberState.PAID})
# Nobody is paying these contributions: their members may, or the organiser for them.
MISSING = frozenset({MemberState.INVITED, MemberState.FAILED})
