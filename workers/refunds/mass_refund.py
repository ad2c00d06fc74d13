"""cancel_event: check the balance -> request refunds of the next slice of orders -> append the next step.

A mass cancellation goes on in steps. Each takes the orders after the cursor and, in one transaction, requests a refund
or a cancellation of each payment, moves the cursor, and appends the step that follows, as much later as the pace says.
A step is taken once: it is named by its number, so that a second delivery, or one after a kill, finds it taken. What
one payment gets is guarded once more by the key of its request.

Refunds come out of Stripe's balance, and those that it cannot cover stay pending; buyers would be promised refunds that
do not arrive. So the balance is read first, and when it is too small for the slice and for what is already on the way,
the cancellation waits where everyone sees it. When no order is left behind the cursor, a last pass finds what was left
out; it ends when nothing is.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from loguru import logger

from db.refunds import balance_needed, mass_refund_steps, mass_refunds
from db.refunds.mass_refund_steps import BatchCounts, BatchOrder
from db.refunds.mass_refunds import MassRefund
from db.session import Database, Tx
from messages.money import Money
from messages.refunds import EventCancellationDue
from messages.runtime.crash_points import crash_point
from messages.verdicts import GiveUp, TryLater
from outbox.append import append
from outbox.requests.refunds import RefundAnswer, give_everything_back
from outbox.requests.refusals import RefusedError
from stripe_client.balance import read_balance
from stripe_client.gateway import Gateway
from workers.rules.refund_balance import shortfalls
from workers.runtime.actor import actor
from workers.runtime.settings import EventCancellationSettings

BY = "cancel_event"
# A payment takes some two milliseconds: the slice's locks are held for a fraction of a second.
MOST_AT_ONCE = 100


@actor(EventCancellationDue)
def cancel_event(msg: EventCancellationDue, db: Database, stripe: Gateway) -> None:
    settings, started = EventCancellationSettings(), datetime.now(UTC)
    with db.transaction(msg.tenant_id) as tx:
        run = mass_refunds.get(tx, msg.cancellation_id)
        if run is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no cancellation {msg.cancellation_id}")
        if not run.takes(msg.step):  # taken by another delivery, paused, stopped or done
            return
        needs = balance_needed.of_payments(tx, [batch_order.payment_id for batch_order in _slice(tx, run)])
    if needs and not (run.despite_balance or settings.event_cancellation_despite_balance):
        _require_balance(db, stripe, run, needs, settings.event_cancellation_balance_seconds)
    crash_point("cancel_event.before_step")
    with db.transaction(msg.tenant_id) as tx:
        _take_step(tx, msg, started)
        crash_point("cancel_event.before_commit")
    crash_point("cancel_event.after_commit")


def _slice(tx: Tx, run: MassRefund) -> list[BatchOrder]:
    return mass_refund_steps.next_slice(tx, run, limit=min(MOST_AT_ONCE, run.rate_per_second))


def _require_balance(db: Database, stripe: Gateway, run: MassRefund, needs: Sequence[Money], seconds: float) -> None:
    """Raises TryLater when Stripe's balance is too small, after that was written where a person sees it."""
    available = read_balance(stripe).available
    with db.system_transaction() as tx:
        on_the_way = balance_needed.on_the_way(tx)
    missing = shortfalls([*needs, *on_the_way], available)
    if not missing:
        return
    said = f"Stripe's balance is short by {', '.join(map(str, missing))} for the refunds that come next"
    with db.transaction(run.tenant_id) as tx:
        current = mass_refunds.lock(tx, run.cancellation_id)
        if current is not None and current.takes(run.step):
            mass_refund_steps.wait_for_balance(tx, run, reason=said, by=BY)
    raise TryLater(said, seconds=seconds)


def _take_step(tx: Tx, msg: EventCancellationDue, started: datetime) -> None:
    run = mass_refunds.lock(tx, msg.cancellation_id)
    assert run is not None, "cancellations are never deleted, and this one was read a moment ago"
    if not run.takes(msg.step):
        return
    taken = _slice(tx, run)
    if taken:
        counts = BatchCounts(**Counter(_give_back(tx, run, batch_order) for batch_order in taken))
        mass_refund_steps.advance(tx, run, cursor=taken[-1].order_id, counts=counts, by=BY)
    elif mass_refund_steps.left_out(tx, run):
        mass_refund_steps.begin_pass(tx, run, by=BY)
        logger.warning("mass refund found remaining payments, processing them", event_id=run.event_id)
    else:
        mass_refund_steps.end(tx, run, by=BY)
        logger.info("mass refund completed: {} refunds, {} cancellations", *_asked(run), event_id=run.event_id)
        return
    pause = timedelta(seconds=len(taken) / run.rate_per_second)
    append(tx, msg.model_copy(update={"step": run.step + 1}), not_before=started + pause)


def _give_back(tx: Tx, run: MassRefund, batch_order: BatchOrder) -> str:
    """Ask for everything of one payment; returns the name of what became of it, as `Counts` has it."""
    try:
        answer = give_everything_back(
            tx,
            payment_id=batch_order.payment_id,
            reason="event_cancelled",
            note=run.note,
            source="event_cancellation",
            request_key=f"event_cancellation:{run.cancellation_id}:{batch_order.payment_id}",
            by=run.created_by,
        )
    except RefusedError as error:  # one payment must not hold up ten thousand
        mass_refund_steps.refuse(tx, run, batch_order.payment_id, code=error.code, reason=str(error))
        logger.error("payment cannot be refunded: {}", error, payment_id=batch_order.payment_id)
        return "refused"
    return _name(answer)


def _name(answer: RefundAnswer) -> str:
    if answer.canceling:
        return "cancellations_asked"
    return "refunds_asked" if answer.new else "nothing_left"


def _asked(run: MassRefund) -> tuple[int, int]:
    return run.refunds_asked, run.cancellations_asked
