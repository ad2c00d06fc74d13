"""Replay batches as operators request them: preview, start, cancel. Approving one is in requests/approvals.py.

Classifying and replaying are done by workers; nothing here moves money or calls Stripe.
"""

from uuid import UUID

from db.dead_letters import replay_batches
from db.dead_letters.replay_batches import ReplayBatch
from db.dead_letters.views import DeadLetterFilter
from messages.queues import ROUTES
from messages.replays import ClassifyDue, ReplayDue
from outbox.append import append
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError, require


def preview(
    acting: OperatorTransaction,
    chosen: DeadLetterFilter,
    *,
    reason: str,
    rate_per_second: int = 20,
    target_queue: str | None = None,
) -> tuple[UUID, int]:
    """Make a batch of the open dead letters of a filter and have a worker classify it; returns its id and size.

    Raises:
        RefusedError: nothing matches, no reason was given, or the queue does not exist.
    """
    require(reason.strip(), "give a reason")
    queues = {route.queue for route in ROUTES.values()}
    if target_queue is not None and target_queue not in queues:
        raise RefusedError(f"there is no queue {target_queue!r}; there are {', '.join(sorted(queues))}")
    batch_id, size = replay_batches.create(
        acting.tx,
        chosen,
        operator=acting.operator,
        reason=reason,
        rate_per_second=rate_per_second,
        target_queue=target_queue,
    )
    require(size, "no open dead letter matches")
    append(acting.tx, ClassifyDue(batch_id=batch_id))
    subject = {"batch_id": str(batch_id), "selection": chosen.as_json(), "letters_count": size}
    acting.log("preview" if target_queue is None else "redirect", subject, reason)
    return batch_id, size


def start(acting: OperatorTransaction, batch_id: UUID) -> str:
    """Start a previewed batch; returns its new state: running, or awaiting_approval above the money limit.

    Raises:
        RefusedError: unknown, not classified yet, or started, done or cancelled before.
    """
    batch = locked_batch(acting, batch_id)
    to = "awaiting_approval" if acting.needs_approval(_may_move(acting, batch_id)) else "running"
    if not replay_batches.move(acting.tx, batch_id, leaving=("previewed",), to=to, by=acting.operator):
        raise RefusedError(f"the batch is {batch.state}; only a previewed one can be started")
    if to == "running":
        append(acting.tx, ReplayDue(batch_id=batch_id))
    acting.log("start", {"batch_id": str(batch_id), "state": to}, batch.reason)
    return to


def cancel(acting: OperatorTransaction, batch_id: UUID, *, reason: str) -> None:
    """Stop a batch; what was appended already runs on, what waits stays open.

    Raises:
        RefusedError: it is done or cancelled already, or no reason was given.
    """
    require(reason.strip(), "give a reason")
    leaving = ("classifying", "previewed", "awaiting_approval", "running")
    batch = locked_batch(acting, batch_id)
    if not replay_batches.move(acting.tx, batch_id, leaving=leaving, to="canceled", by=acting.operator):
        raise RefusedError(f"the batch is {batch.state} already")
    acting.log("cancel", {"batch_id": str(batch_id)}, reason)


def locked_batch(acting: OperatorTransaction, batch_id: UUID) -> ReplayBatch:
    """The batch, locked until the transaction ends: two operators who start it wait for one another, and one is
    refused.
    """
    batch = replay_batches.lock(acting.tx, batch_id)
    if batch is None:
        raise RefusedError(f"there is no batch {batch_id}")
    return batch


def _may_move(acting: OperatorTransaction, batch_id: UUID) -> list[int]:
    """What replaying it may move, one amount a currency, in minor units."""
    by_currency: dict[str | None, int] = {}
    for total in replay_batches.totals(acting.tx, batch_id):
        if total.class_ in {"safe", "needs_new_key"}:
            by_currency[total.currency] = by_currency.get(total.currency, 0) + total.amount_minor
    return list(by_currency.values())
