"""Waiting until nothing moves any more, while buyers may still ask for something: what is waited for is said, and the
patience ends.
"""

import time
from collections.abc import Callable, Mapping

from rich.console import Console

from db.monitoring import overview
from db.session import Database
from workers.verify.report import NOT_OURS_TO_MOVE, Report

LOOK_SECONDS = 0.5
SAID_EVERY_SECONDS = 15.0
# What is due later than this is not waited for: a charge whose absence is proved after a day, for one (M13).
DUE_SECONDS = 600.0


def wait_until_quiet(
    moving: Callable[[], Mapping[str, int]],
    console: Console,
    *,
    patience_seconds: float,
    calm_seconds: float = 1.0,
    look_seconds: float = LOOK_SECONDS,
) -> dict[str, int]:
    """Until nothing has moved for `calm_seconds`; returns what still does when the patience is over, else nothing."""
    started = said = calm_since = time.monotonic()
    while True:
        left = {what: count for what, count in moving().items() if count}
        now = time.monotonic()
        if left:
            calm_since = now
        if now - calm_since >= calm_seconds:
            return {}
        if left and now - started > patience_seconds:
            console.print(f"not quiet after {patience_seconds:.0f} s: {in_words(left)}", style="red")
            return left
        if left and now - said > SAID_EVERY_SECONDS:
            said = now
            console.print(f"  waiting for {in_words(left)}")
        time.sleep(look_seconds)


def in_words(left: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in left.items())


def moving(db: Database) -> dict[str, int]:
    """What moves in the whole fleet, but what waits for longer than DUE_SECONDS."""
    with db.system_transaction() as tx:
        glance = overview.glance(tx)
        row = tx.execute(_MOVING, {"due": DUE_SECONDS}).fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    counts = dict(zip(("refunds", "transfers", "reversals", "payments"), row, strict=True))
    return counts | {"webhook events": glance.events_waiting, "messages that are due": glance.outbox_due}


_MOVING = """
    WITH later AS (SELECT ordering_key FROM outbox WHERE due_at > clock_timestamp() + make_interval(secs => %(due)s))
    SELECT
        (SELECT count(*) FROM refunds WHERE state IN ('requested', 'sending')),
        (SELECT count(*) FROM transfers t WHERE state IN ('requested', 'sending')
            AND NOT EXISTS (SELECT FROM later WHERE later.ordering_key = t.transfer_id)),
        (SELECT count(*) FROM transfer_reversals r WHERE state IN ('requested', 'sending')
            AND NOT EXISTS (SELECT FROM later WHERE later.ordering_key = r.reversal_id)),
        (SELECT count(*) FROM payments p WHERE state IN ('requested', 'charging')
            AND NOT EXISTS (SELECT FROM later WHERE later.ordering_key = p.payment_id))
"""


def due_later(db: Database) -> int:
    """How many messages wait for longer than DUE_SECONDS: each is a call whose absence is not proved yet."""
    with db.system_transaction() as tx:
        row = tx.execute(
            "SELECT count(*) FROM outbox WHERE due_at > clock_timestamp() + make_interval(secs => %(due)s)",
            {"due": DUE_SECONDS},
        ).fetchone()
    return int(row[0]) if row else 0


def unfinished(report: Report, due_later: int) -> dict[str, int]:
    """What waits for the fleet, but what must wait for a day."""
    allowed = {"messages under way": due_later, "payments": due_later}
    kinds = {kind: count for kind, count in report.kinds.items() if kind not in NOT_OURS_TO_MOVE}
    return {kind: count.waiting for kind, count in kinds.items() if count.waiting > allowed.get(kind, 0)}
