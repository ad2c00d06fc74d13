"""Watch a batch until workers have classified or replayed it, with a progress bar on a terminal.

Watching is read-only: after Ctrl-C or a closed terminal the batch continues, and can be watched again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from db.dead_letters import replay_batches
from db.session import Database
from outbox.ops.prompts import follow
from outbox.ops.session import LeaveError


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """A batch at one moment. "Judged" means classified by a worker, "settled" that its item will not change any
    more.
    """

    batch: replay_batches.ReplayBatch
    progress: replay_batches.ItemCounts

    @property
    def is_classified(self) -> bool:
        return self.batch.state != "classifying"

    @property
    def is_settled(self) -> bool:
        """True when no message of the batch is in progress any more."""
        return self.batch.state in {"done", "canceled"} and not self.progress.appended

    @property
    def classified(self) -> int:
        return self.progress.total - self.progress.unclassified

    @property
    def settled(self) -> int:
        counts = self.progress
        return counts.closed + counts.skipped + counts.succeeded + counts.failed


def standing(db: Database, batch_id: UUID) -> BatchProgress:
    """The batch and the counts of its items, in one ops transaction.

    Raises:
        LeaveError: there is no such batch (exit code 1).
    """
    with db.ops_transaction() as tx:
        batch = replay_batches.get(tx, batch_id)
        if batch is None:
            raise LeaveError(1, f"Batch {batch_id} not found.")
        return BatchProgress(batch, replay_batches.progress(tx, batch_id))


def until_classified(db: Database, batch_id: UUID, *, patience_seconds: float) -> BatchProgress:
    return _watch(
        db, batch_id, "classifying", lambda state: state.is_classified, lambda state: state.classified, patience_seconds
    )


def until_settled(db: Database, batch_id: UUID, *, patience_seconds: float) -> BatchProgress:
    """Watch until no message of the batch is in progress. Raises LeaveError as `follow`."""
    return _watch(
        db, batch_id, "replaying", lambda state: state.is_settled, lambda state: state.settled, patience_seconds
    )


def _watch(
    db: Database,
    batch_id: UUID,
    title: str,
    ended: Callable[[BatchProgress], bool],
    count: Callable[[BatchProgress], int],
    patience_seconds: float,
) -> BatchProgress:
    return follow(
        lambda: standing(db, batch_id),
        title=title,
        count=lambda progress: (count(progress), progress.progress.total),
        moves=lambda progress: count(progress) + progress.progress.appended,
        ended=ended,
        patience_seconds=patience_seconds,
        standing_still=lambda progress: _standing_still(progress, patience_seconds),
        stopped=f"Stopped watching; {_continues(batch_id)}.",
    )


def _standing_still(progress: BatchProgress, seconds: float) -> str:
    return (
        f"Batch {progress.batch.batch_id} is {progress.batch.state} and has made no progress for {seconds:.0f} s. "
        f"Is a worker running? `fleet queues` shows the consumers of `replays`. "
        f"Nothing is lost; {_continues(progress.batch.batch_id)}."
    )


def _continues(batch_id: UUID) -> str:
    return (
        f"the batch continues in the background: `fleet dlq batches {batch_id}` shows it, `fleet dlq cancel` stops it"
    )
