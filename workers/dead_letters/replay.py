"""replay: take the next dead letters of a running batch -> check each again -> append its original message, once.

What was safe in the preview may have changed, so each is checked again just before. Its move from open to replaying,
its item and its message are one transaction: two runs, two operators or a crash in between cannot replay it twice. A
dead letter whose goal is reached meanwhile is resolved without a replay. The batch keeps its rate by replaying that
many dead letters per run, one run a second.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from loguru import logger

from db.dead_letters import dead_letters, replay_batches
from db.dead_letters.dead_letters import SealedDeadLetter
from db.dead_letters.replay_batches import ReplayBatch
from db.queue import failed_runs
from db.session import Database, Tx
from messages.replays import ReplayDue
from messages.runtime import trace
from messages.runtime.crash_points import crash_point
from outbox.append import Envelope, append, append_order_again, append_original, new_envelope
from outbox.sealing import Opener, OpenSettings
from stripe_client.gateway import Gateway
from workers.dead_letters.replay_check import OpenedDeadLetter, check_replay, open_dead_letter
from workers.rules.replay_check import ReplayCheck
from workers.runtime.actor import actor

PAUSE = timedelta(seconds=1)
MOST_AT_ONCE = 50
_REPLAYABLE = frozenset({"safe", "needs_new_key"})


@actor(ReplayDue)
def replay(msg: ReplayDue, db: Database, stripe: Gateway) -> None:
    """Replay one second's worth of a running batch, and append itself a second later until none is left.

    A batch that is no longer running, or was never approved, is left as it is.
    """
    opener = Opener(OpenSettings())
    with db.system_transaction() as tx:
        batch = replay_batches.get(tx, msg.batch_id)
        if batch is None or batch.state != "running":
            return
        ids = replay_batches.waiting(tx, msg.batch_id, limit=min(MOST_AT_ONCE, batch.rate_per_second))
        chosen = dead_letters.sealed(tx, ids)
    for dead_letter in chosen:
        _replay_one(db, stripe, batch, dead_letter, opener)
    with db.system_transaction() as tx:
        if replay_batches.waiting(tx, msg.batch_id, limit=1):
            append(tx, msg, not_before=datetime.now(UTC) + PAUSE)
        elif replay_batches.move(tx, msg.batch_id, leaving=("running",), to="done"):
            logger.info("batch replayed", batch_id=msg.batch_id)


def _replay_one(
    db: Database, stripe: Gateway, batch: ReplayBatch, dead_letter: SealedDeadLetter, opener: Opener
) -> None:
    opened = open_dead_letter(dead_letter, opener)
    check = opened if isinstance(opened, ReplayCheck) else check_replay(opened, db, stripe)
    with db.system_transaction() as tx:
        if isinstance(opened, ReplayCheck) or check.class_ == "must_not":
            _end(tx, batch, dead_letter, "skipped", check)
        elif check.class_ == "already_done":
            by = batch.started_by or ""
            resolved = dead_letters.resolve(tx, dead_letter.dead_letter_id, by=by, because=check.proof)
            _end(tx, batch, dead_letter, "closed" if resolved else "skipped", check)
        elif check.class_ in _REPLAYABLE:
            _append_again(tx, batch, opened, check)
        crash_point("replay.before_commit")
    crash_point("replay.after_commit")


def _end(tx: Tx, batch: ReplayBatch, dead_letter: SealedDeadLetter, state: str, check: ReplayCheck) -> None:
    checked = (check.class_, check.proof)
    replay_batches.end_item(tx, batch.batch_id, dead_letter.dead_letter_id, state=state, checked=checked)


def _append_again(tx: Tx, batch: ReplayBatch, opened: OpenedDeadLetter, check: ReplayCheck) -> None:
    dead_letter = opened.dead_letter
    if not dead_letters.begin_replay(tx, dead_letter.dead_letter_id):  # somebody else has replayed or resolved it
        _end(tx, batch, dead_letter, "skipped", ReplayCheck("safe", "was not open"))
        return
    _end(tx, batch, dead_letter, "appended", check)
    if opened.is_order_event:
        append_order_again(tx, opened.original, dead_letter.dead_letter_id)
        return
    assert opened.payload is not None, "what cannot be read is never safe to replay"
    append_original(tx, dead_letter.kind or "", opened.payload, _envelope(tx, dead_letter), queue=batch.target_queue)


def _envelope(tx: Tx, dead_letter: SealedDeadLetter) -> Envelope:
    """The same message id and trace, a fresh set of tries, and the number of the run that follows the last one."""
    fresh = new_envelope(dead_letter.trace_id if trace.is_trace_id(dead_letter.trace_id or "") else None)
    assert dead_letter.message_uuid is not None, "a message without an id of ours is never safe to replay"
    run = failed_runs.next_run(tx, dead_letter.message_uuid)
    return replace(
        fresh, message_id=dead_letter.message_uuid, run=run, replayed=True, span_id=fresh.span_id or dead_letter.span_id
    )
