"""`fleet events republish`: tell other services again what a lost broker took with it, under the same event ids.

Nothing is made up: the rows are those that the relay wrote down when the broker confirmed them. Whoever listens knows
an event that it has had by its id; so to tell too many is harmless, and to begin too late is not.
"""

from collections.abc import Sequence
from datetime import datetime

from db.queue import published_events
from db.queue.published_events import Cursor, EventFilter, PublishedCount
from outbox.ops.output import plain, record, said, table
from outbox.ops.prompts import CommandOptions, confirm, print_result, why
from outbox.ops.session import Operator, operator_session, troubles
from outbox.requests.operators.republishing import republish_lot
from outbox.requests.refusals import RefusedError


@troubles()
def republish(which: EventFilter, options: CommandOptions) -> None:
    """Preview, confirm, then append the events again, lot by lot; prints how many were appended.

    Raises:
        RefusedError: no stored event matches.
    """
    with operator_session(options.operator) as operator:
        with operator.db.ops_transaction() as tx:
            published_counts = published_events.summary(tx, which)
        number = sum(lot.number for lot in published_counts)
        if not number:
            raise RefusedError("no such event was published in that time, or its row is deleted (RETAIN_TOLD_DAYS)")
        _show(published_counts)
        reason = why(options)
        confirm(f"Publish {number} events again?", "Nothing was published.", options)
        queued = _append(operator, which, reason)
    document = {"events": queued, "of": [record(lot) for lot in published_counts]}
    print_result(
        document, f"{queued} events are in the outbox again, under their own ids; the relay publishes them.", options
    )


def _append(operator: Operator, which: EventFilter, reason: str) -> int:
    queued = 0
    after: Cursor | None = None
    while True:
        with operator.transaction() as acting:
            number, after = republish_lot(acting, which, reason=reason, after=after)
        queued += number
        if after is None:
            return queued


def _show(published_counts: Sequence[PublishedCount]) -> None:
    shown = table("event", "number", "first told (UTC)", "last told (UTC)", right=("number",))
    for lot in published_counts:
        shown.add_row(plain(lot.kind), str(lot.number), _moment(lot.first_at), _moment(lot.last_at))
    said().print(shown)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
