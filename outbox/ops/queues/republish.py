"""`fleet events republish`: tell other services again what a lost broker took with it, under the same event ids.

Nothing is made up: the rows are those that the relay wrote down when the broker confirmed them. Whoever listens knows
an event that it has had by its id; so to tell too many is harmless, and to begin too late is not.
"""

from collections.abc import Sequence
from datetime import datetime

from db.operators import log as operator_log
from db.queue import published_events
from db.queue.published_events import EventFilter, PublishedCount
from outbox.ops.output import plain, record, said, table
from outbox.ops.prompts import CommandOptions, confirm, print_result, why
from outbox.ops.session import Operator, operator_session, troubles
from outbox.requests.refusals import RefusedError

BATCH = 1_000  # a transaction each: the relay begins with the first while the rest is still written


@troubles()
def republish(which: EventFilter, options: CommandOptions) -> None:
    with operator_session(options.operator) as operator:
        with operator.db.ops_transaction() as tx:
            published_counts = published_events.summary(tx, which)
        number = sum(lot.number for lot in published_counts)
        if not number:
            raise RefusedError("nothing of the kind was told in that time, or it is forgotten (RETAIN_TOLD_DAYS)")
        _show(published_counts)
        reason = why(options)
        confirm(f"Publish {number} events again?", "Nothing was published.", options)
        queued = _append(operator, which, reason)
    document = {"events": queued, "of": [record(lot) for lot in published_counts]}
    print_result(
        document, f"{queued} events are in the outbox again, under their own ids; the relay publishes them.", options
    )


def _append(operator: Operator, which: EventFilter, reason: str) -> int:
    """Killed half-way it is simply run again."""
    queued, after = 0, None
    while True:
        with operator.db.ops_transaction() as tx:
            if after is None:
                operator_log.write(
                    tx, operator=operator.name, action="republish", subject=_subject(which), reason=reason
                )
            number, ended = published_events.append_again(tx, which, after=after, at_most=BATCH)
        queued += number
        if ended is None:
            return queued
        after = ended


def _subject(which: EventFilter) -> dict[str, object]:
    words = {"since": which.since, "until": which.until, "payment_id": which.subject_id, "type": which.kind}
    return {name: str(word) for name, word in words.items() if word is not None}


def _show(published_counts: Sequence[PublishedCount]) -> None:
    shown = table("event", "number", "first told (UTC)", "last told (UTC)", right=("number",))
    for lot in published_counts:
        shown.add_row(plain(lot.kind), str(lot.number), _moment(lot.first_at), _moment(lot.last_at))
    said().print(shown)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
