"""The statuses of a dispute, and its legal moves.

    warning_needs_response -> warning_under_review -> warning_closed
               +----------------------+-> (escalated) needs_response -> under_review -> won | lost
    lost -> won | appeal_needs_response -> appeal_under_review -> won | lost
    anything but a closed one -> prevented

A dispute is at Stripe and we only look at it, now and then: so it may make several of these steps between two looks,
and its legal moves are all that a way of steps leads to. None leads out of won, warning_closed or prevented.
"""

from collections.abc import Mapping
from enum import StrEnum

from db.lifecycle import legal_moves


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


_STEPS = legal_moves(
    DisputeStatus,
    warning_needs_response="warning_under_review warning_closed needs_response prevented",
    warning_under_review="warning_closed needs_response prevented",
    warning_closed="",
    needs_response="under_review won lost prevented",
    under_review="won lost prevented",
    won="",
    lost="won appeal_needs_response",
    appeal_needs_response="appeal_under_review won lost",
    appeal_under_review="won lost",
    prevented="",
)


def _reachable(
    steps: Mapping[DisputeStatus, frozenset[DisputeStatus]], origin: DisputeStatus
) -> frozenset[DisputeStatus]:
    seen: set[DisputeStatus] = set()
    ahead = set(steps[origin])
    while ahead:
        status = ahead.pop()
        seen.add(status)
        ahead |= steps[status] - seen
    return frozenset(seen - {origin})


# Every status that steps lead to, not only the next one: between two looks Stripe may have made several.
DISPUTE_MOVES = {status: _reachable(_STEPS, status) for status in DisputeStatus}
# Evidence may be sent, and only then.
ANSWERABLE = frozenset(
    {DisputeStatus.WARNING_NEEDS_RESPONSE, DisputeStatus.NEEDS_RESPONSE, DisputeStatus.APPEAL_NEEDS_RESPONSE}
)
UNDER_REVIEW = frozenset(
    {DisputeStatus.WARNING_UNDER_REVIEW, DisputeStatus.UNDER_REVIEW, DisputeStatus.APPEAL_UNDER_REVIEW}
)
CLOSED_DISPUTES = frozenset(
    {DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.WARNING_CLOSED, DisputeStatus.PREVENTED}
)
# The bank has the money and keeps it, for all that is known.
LOST_DISPUTES = frozenset({DisputeStatus.LOST, DisputeStatus.PREVENTED})
# The bank has taken the money, or given it to the buyer: Stripe refuses a refund beside it. An inquiry takes nothing.
FORBIDS_REFUND = LOST_DISPUTES | {
    DisputeStatus.NEEDS_RESPONSE,
    DisputeStatus.UNDER_REVIEW,
    DisputeStatus.APPEAL_NEEDS_RESPONSE,
    DisputeStatus.APPEAL_UNDER_REVIEW,
}
