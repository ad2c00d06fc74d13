"""replay: take the next letters of a running batch -> judge each again -> append its original message, once.

What was safe in the preview may have changed, so each letter is judged anew just before. The letter's move from open to
replaying, its item and its message are one transaction: two runs, two operators or a crash in between cannot replay it
twice. A letter whose goal is reached meanwhile is resolved as a recorded no-op. The batch's rate is kept by doing that
many letters and coming back a second later.
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
from outbox.intake.order_events import WORDS
from outbox.sealing import Opener, OpenSettings
from stripe_client.gateway import Gateway
from workers.dead_letters.judge import OpenedDeadLetter, judge, open_letter
from workers.rules.replay_charges import ReplayCheck
from workers.runtime.actor import actor

PAUSE = timedelta(seconds=1)
MOST_AT_ONCE = 50
_REPLAYABLE = frozenset({"safe", "needs_new_key"})


@actor(ReplayDue)
def replay(msg: ReplayDue, db: Database, stripe: Gateway) -> None:
    opener = Opener(OpenSettings())
    with db.system_transaction() as tx:
        batch = replay_batches.get(tx, msg.batch_id)
        if batch is None or batch.state != "running":
            return
        chosen = replay_batches.waiting(tx, msg.batch_id, limit=min(MOST_AT_ONCE, batch.rate_per_second))
        letters = dead_letters.sealed(tx, chosen)
    for letter in letters:
        _replay_one(db, stripe, batch, letter, opener)
    with db.system_transaction() as tx:
        if replay_batches.waiting(tx, msg.batch_id, limit=1):
            append(tx, msg, not_before=datetime.now(UTC) + PAUSE)
        elif replay_batches.move(tx, msg.batch_id, leaving=("running",), to="done"):
            logger.info("batch replayed", batch_id=msg.batch_id)


def _replay_one(db: Database, stripe: Gateway, batch: ReplayBatch, letter: SealedDeadLetter, opener: Opener) -> None:
    opened = open_letter(letter, opener)
    judgement = opened if isinstance(opened, ReplayCheck) else judge(opened, db, stripe)
    with db.system_transaction() as tx:
        if isinstance(opened, ReplayCheck) or judgement.class_ == "must_not":
            replay_batches.end_item(
                tx, batch.batch_id, letter.dead_letter_id, state="skipped", judgement=_words(judgement)
            )
        elif judgement.class_ == "already_done":
            closed = dead_letters.resolve(tx, letter.dead_letter_id, by=batch.started_by or "", because=judgement.proof)
            ended = "closed" if closed else "skipped"
            replay_batches.end_item(tx, batch.batch_id, letter.dead_letter_id, state=ended, judgement=_words(judgement))
        elif judgement.class_ in _REPLAYABLE:
            _bring_back(tx, batch, opened, judgement)
        crash_point("replay.before_commit")
    crash_point("replay.after_commit")


def _bring_back(tx: Tx, batch: ReplayBatch, opened: OpenedDeadLetter, judgement: ReplayCheck) -> None:
    letter = opened.letter
    if not dead_letters.begin_replay(tx, letter.dead_letter_id):  # somebody else brought it back, or closed it
        replay_batches.end_item(
            tx, batch.batch_id, letter.dead_letter_id, state="skipped", judgement=("safe", "was not open")
        )
        return
    replay_batches.end_item(tx, batch.batch_id, letter.dead_letter_id, state="appended", judgement=_words(judgement))
    if letter.source == "orders" or letter.kind in WORDS:
        append_order_again(tx, opened.original, letter.dead_letter_id)
        return
    assert opened.payload is not None, "what cannot be read is never judged replayable"
    append_original(tx, letter.kind or "", opened.payload, _envelope(tx, letter), queue=batch.target_queue)


def _envelope(tx: Tx, letter: SealedDeadLetter) -> Envelope:
    """The same message id and trace, a fresh set of tries, and the number of the run that follows the last one."""
    fresh = new_envelope(letter.trace_id if trace.is_trace_id(letter.trace_id or "") else None)
    assert letter.message_uuid is not None, "a message without an id of ours is never judged replayable"
    run = failed_runs.next_run(tx, letter.message_uuid)
    return replace(
        fresh, message_id=letter.message_uuid, run=run, replayed=True, span_id=fresh.span_id or letter.span_id
    )


def _words(judgement: ReplayCheck) -> tuple[str, str]:
    return judgement.class_, judgement.proof
