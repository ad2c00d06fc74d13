"""Published events that an operator wants published again, under the same ids: for a broker that lost its data."""

from db.queue import published_events
from db.queue.published_events import Cursor, EventFilter
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import require

LOT = 1_000  # a transaction each: the relay begins with the first while the rest is still written


def republish_lot(
    acting: OperatorTransaction, which: EventFilter, *, reason: str, after: Cursor | None
) -> tuple[int, Cursor | None]:
    """Append the next lot of these events to the outbox; `after` is None for the first, which enters the operator log.

    Returns how many were appended, and where the next lot begins (None: that was the last). Killed between two lots it
    is simply run again: whoever listens knows an event that it has had by its id.

    Raises:
        RefusedError: no reason was given.
    """
    require(reason.strip(), "give a reason")
    if after is None:
        acting.log("republish", _subject(which), reason)
    return published_events.append_again(acting.tx, which, after=after, at_most=LOT)


def _subject(which: EventFilter) -> dict[str, object]:
    words = {"since": which.since, "until": which.until, "payment_id": which.subject_id, "type": which.kind}
    return {name: str(word) for name, word in words.items() if word is not None}
