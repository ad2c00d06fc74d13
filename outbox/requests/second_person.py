"""The second-person rule: what may move more money than one operator may decide needs the word of another one.

Pure, and the only place where the rule stands in Python. The database holds its half by itself: in each table of what
can wait for approval a CHECK refuses an `approved_by` that equals who asked (migrations 0004, 0013, 0055).
"""

from collections.abc import Iterable

from outbox.requests.refusals import RefusedError

OWN_REQUEST = "a second operator must approve this; you cannot approve your own request"


def needs_second_person(amounts_minor: Iterable[int], *, limit_minor: int) -> bool:
    """Whether any one of the amounts (one a currency, in its minor units) is above what one operator may decide."""
    return any(amount_minor > limit_minor for amount_minor in amounts_minor)


def require_second_person(approver: str, *requesters: str | None) -> None:
    """Refuse an approver who made the request. A requester of None (the system) is no person.

    Raises:
        RefusedError: the approver is one of the requesters.
    """
    if approver in requesters:
        raise RefusedError(OWN_REQUEST)
