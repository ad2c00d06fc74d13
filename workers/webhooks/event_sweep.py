"""event_sweep: list what Stripe says happened -> give what is missing to the inbox -> move the cursor.

Closes the gap that lost webhooks leave. Hour by hour, the oldest first, each hour paged to its end; every event takes
the road of a webhook (outbox/intake/stripe_events.py), whose key is the event's id, and the cursor moves only after an
hour was stored. A second run, or one that was killed, lists some events again and changes nothing. Windows overlap,
because Stripe's clock is not ours, and end a moment ago, because the latest webhooks are still on their way.
"""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from loguru import logger

from db.session import Database
from db.webhooks import event_coverage
from messages.reconciliation import EventSweepDue
from messages.runtime.crash_points import crash_point
from messages.webhooks import WANTED
from outbox.append import append
from outbox.intake.stripe_events import receive
from outbox.process.metrics import EVENTS_LISTED
from stripe_client.event_snapshots import VerifiedEvent
from stripe_client.events import KEPT_DAYS, UnreadableListedEvent, list_events
from stripe_client.gateway import Gateway
from workers.runtime.actor import actor
from workers.runtime.settings import EventSweepSettings

# One run ends here and appends the next: far below its time limit in messages/queues.py.
RUN_SECONDS = 90.0
_HOUR = timedelta(hours=1)


@actor(EventSweepDue)
def sweep_events(msg: EventSweepDue, db: Database, stripe: Gateway) -> None:
    """List Stripe's events hour by hour from the cursor on, and store those that are missing.

    After RUN_SECONDS it appends itself: the cursor says where to continue. Event ids make every hour harmless twice.

    Raises:
        Verdict: Stripe did not answer; the hours before are stored, and the retry continues.
    """
    settings = EventSweepSettings()
    started = time.monotonic()
    gap = _gap(db, settings)
    for since, until in _hours(gap.since, gap.until):
        _sweep(db, stripe, since, until, livemode=settings.in_production)
        with db.system_transaction() as tx:
            event_coverage.move(tx, until)
        crash_point("event_sweep.hour_done")
        if time.monotonic() - started > RUN_SECONDS and until < gap.until:
            with db.system_transaction() as tx:
                append(tx, EventSweepDue(due_at=msg.due_at))
            logger.info("event sweep reached {}, continuing in the next run", until)
            return


def _gap(db: Database, settings: EventSweepSettings) -> event_coverage.CoverageGap:
    with db.system_transaction() as tx:
        gap = event_coverage.gap(
            tx,
            overlap_seconds=settings.event_sweep_overlap_seconds,
            settle_seconds=settings.event_sweep_settle_seconds,
            reach_days=KEPT_DAYS,
        )
    if gap.lost_seconds:
        logger.error("event sweep was down too long: Stripe no longer lists {:.0f} s of events", gap.lost_seconds)
    return gap


def _hours(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """[since, until) cut at the full hours, the oldest first; whole seconds, as Stripe's are.

    The second that is not over is left out: Stripe may still create events in it, which a cursor at its end would pass.
    """
    here, end = since.replace(microsecond=0), until.replace(microsecond=0)
    while here < end:
        following = min(here.replace(minute=0, second=0) + _HOUR, end)
        yield here, following
        here = following


def _sweep(db: Database, stripe: Gateway, since: datetime, until: datetime, *, livemode: bool) -> None:
    window = {"since_epoch": int(since.timestamp()), "before_epoch": int(until.timestamp())}
    for page in list_events(stripe, WANTED, **window):
        _take(db, [event for event in page if _is_fit(event, livemode=livemode)])


def _is_fit(event: VerifiedEvent | UnreadableListedEvent, *, livemode: bool) -> bool:
    """Only events of our own mode and shape; the others are said, and can be seen at Stripe."""
    if isinstance(event, UnreadableListedEvent):
        logger.error("unreadable event in Stripe's list: {}", event.why, event_id=event.event_id)
        return False
    if event.livemode != livemode:
        logger.error("event with unexpected livemode={} in Stripe's list", event.livemode, event_id=event.event_id)
        return False
    return True


def _take(db: Database, page: list[VerifiedEvent | UnreadableListedEvent]) -> None:
    """One page: what is missing goes in, then every event of it is counted, once."""
    events = [event for event in page if isinstance(event, VerifiedEvent)]
    with db.system_transaction() as tx:
        there = event_coverage.known(tx, [event.event_id for event in events])
    missing = [event for event in reversed(events) if event.event_id not in there]
    for event in missing:
        receive(db, event, came_by="sweep")
    crash_point("event_sweep.page_stored")
    with db.system_transaction() as tx:
        counted = event_coverage.count(tx, [event.event_id for event in events])
    for road, number in counted.items():
        EVENTS_LISTED.labels(road).inc(number)
    if missing:
        logger.warning("stored {} events that no webhook delivered", len(missing))
