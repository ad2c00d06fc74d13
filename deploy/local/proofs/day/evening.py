"""The quiet after a sale: waiting until nothing moves any more, while buyers may still want something back."""

import time
from collections.abc import Iterator

from db.monitoring import overview
from db.session import Database
from deploy.local.proofs.day.order_service import DayOrderService
from workers.verify.report import NOT_OURS_TO_MOVE, Report

EVENING_SECONDS = 240.0
# Longer than a day here lasts.
PATIENT_SECONDS = 600.0


def quiet_down(db: Database, service: DayOrderService, *, patience_seconds: float = EVENING_SECONDS) -> int:
    """Wait until nothing is due any more; what is asked for meanwhile is asked for."""
    asked, deadline = 0, time.monotonic() + patience_seconds
    for busy in _business(db):
        asked += grant(service)
        if not busy or time.monotonic() > deadline:
            return asked
        time.sleep(0.5)
    return asked


# What moves: all but a charge that waits for its proof of absence, which takes a day (M13).
_MOVING = """
    SELECT (SELECT count(*) FROM refunds WHERE state IN ('requested', 'sending'))
         + (SELECT count(*) FROM transfers t WHERE state IN ('requested', 'sending') AND NOT EXISTS (
               SELECT FROM outbox o WHERE o.ordering_key = t.transfer_id
               AND o.due_at > clock_timestamp() + make_interval(secs => %(patience)s)))
         + (SELECT count(*) FROM transfer_reversals t WHERE state IN ('requested', 'sending') AND NOT EXISTS (
               SELECT FROM outbox o WHERE o.ordering_key = t.reversal_id
               AND o.due_at > clock_timestamp() + make_interval(secs => %(patience)s)))
         + (SELECT count(*) FROM payments p WHERE state IN ('requested', 'charging') AND NOT EXISTS (
               SELECT FROM outbox o WHERE o.ordering_key = p.payment_id
               AND o.due_at > clock_timestamp() + make_interval(secs => %(patience)s)))
"""


def waits_long(db: Database) -> int:
    """How many messages wait for longer than this day lasts: each is a charge whose absence is not proved yet."""
    with db.system_transaction() as tx:
        row = tx.execute(
            "SELECT count(*) FROM outbox WHERE due_at > clock_timestamp() + make_interval(secs => %(patience)s)",
            {"patience": PATIENT_SECONDS},
        ).fetchone()
    return int(row[0]) if row else 0


def rests(report: Report, waits_long: int) -> bool:
    """Nothing waits for us, but what must wait for a day."""
    allowed = {"messages under way": waits_long, "payments": waits_long}
    kinds = {kind: count for kind, count in report.kinds.items() if kind not in NOT_OURS_TO_MOVE}
    return all(count.waiting <= allowed.get(kind, 0) for kind, count in kinds.items())


def _business(db: Database) -> Iterator[bool]:
    """Whether something still moves; quiet is what was quiet for three looks."""
    calm = 0
    while True:
        with db.system_transaction() as tx:
            glance = overview.glance(tx)
            row = tx.execute(_MOVING, {"patience": PATIENT_SECONDS}).fetchone()
        calm = 0 if (row and row[0]) or glance.events_waiting or glance.outbox_due else calm + 1
        yield calm < 3


def grant(service: DayOrderService) -> int:
    wishes = service.wishes()
    if wishes:
        service.publish_now(wishes)
    return len(wishes)
