"""replay: take the next letters of a running batch -> judge each again -> append its original message, once.

What was safe in the preview may have changed, so each letter is judged anew just before. The letter's move from open to
replaying, its item and its message are one transaction: two runs, two operators or a crash in between cannot replay it
twice. A letter whose goal is reached meanwhile is resolved as a recorded no-op. The batch's rate is kept by doing that
many letters and coming back a second later.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from loguru import logger

from db.dead_letters import dead_letters
from db.dead_letters import replay_batches as replays
from db.dead_letters.dead_letters import Sealed
from db.dead_letters.replay_batches import Batch
from db.queue import failed_runs as failures
from db.session import Database, Tx
from messages.replays import ReplayDue
from messages.runtime import trace
from messages.runtime.crash_points import crash_point
from outbox.append import Envelope, append, append_order_again, append_original, new_envelope
from outbox.intake.order_events import WORDS
from outbox.sealing import Opener, OpenSettings
from stripe_client.gateway import Gateway
from workers.dead_letters.judge import Opened, judge, open_letter
from workers.rules.replay_charges import Judgement
from workers.runtime.actor import actor

PAUSE = timedelta(seconds=1)
MOST_AT_ONCE = 50
_REPLAYABLE = frozenset({"safe", "needs_new_key"})


@actor(ReplayDue)
def replay(msg: ReplayDue, db: Database, stripe: Gateway) -> None:
    opener = Opener(OpenSettings())
    with db.system_transaction() as tx:
        batch = replays.get(tx, msg.batch_id)
        if batch is None or batch.state != "running":
            return
        chosen = replays.waiting(tx, msg.batch_id, limit=min(MOST_AT_ONCE, batch.rate_per_second))
        letters = dead_letters.sealed(tx, chosen)
    for letter in letters:
        _replay_one(db, stripe, batch, letter, opener)
    with db.system_transaction() as tx:
        if replays.waiting(tx, msg.batch_id, limit=1):
            append(tx, msg, not_before=datetime.now(UTC) + PAUSE)
        elif replays.move(tx, msg.batch_id, leaving=("running",), to="done"):
            logger.info("batch {} is replayed", msg.batch_id)


def _replay_one(db: Database, stripe: Gateway, batch: Batch, letter: Sealed, opener: Opener) -> None:
    opened = open_letter(letter, opener)
    judgement = opened if isinstance(opened, Judgement) else judge(opened, db, stripe)
    with db.system_transaction() as tx:
        if isinstance(opened, Judgement) or judgement.class_ == "must_not":
            replays.end_item(tx, batch.batch_id, letter.dead_letter_id, state="skipped", judgement=_words(judgement))
        elif judgement.class_ == "already_done":
            closed = dead_letters.resolve(tx, letter.dead_letter_id, by=batch.started_by or "", because=judgement.proof)
            ended = "closed" if closed else "skipped"
            replays.end_item(tx, batch.batch_id, letter.dead_letter_id, state=ended, judgement=_words(judgement))
        elif judgement.class_ in _REPLAYABLE:
            _bring_back(tx, batch, opened, judgement)
        crash_point("replay.before_commit")
    crash_point("replay.after_commit")


def _bring_back(tx: Tx, batch: Batch, opened: Opened, judgement: Judgement) -> None:
    letter = opened.letter
    if not dead_letters.begin_replay(tx, letter.dead_letter_id):  # somebody else brought it back, or closed it
        replays.end_item(tx, batch.batch_id, letter.dead_letter_id, state="skipped", judgement=("safe", "was not open"))
        return
    replays.end_item(tx, batch.batch_id, letter.dead_letter_id, state="appended", judgement=_words(judgement))
    if letter.source == "orders" or letter.kind in WORDS:
        append_order_again(tx, opened.original, letter.dead_letter_id)
        return
    assert opened.payload is not None, "what cannot be read is never judged replayable"
    append_original(tx, letter.kind or "", opened.payload, _envelope(tx, letter), queue=batch.target_queue)


def _envelope(tx: Tx, letter: Sealed) -> Envelope:
    """The same message id and trace, a fresh set of tries, and the number of the run that follows the last one."""
    fresh = new_envelope(letter.trace_id if trace.is_trace_id(letter.trace_id or "") else None)
    assert letter.message_uuid is not None, "a message without an id of ours is never judged replayable"
    run = failures.next_run(tx, letter.message_uuid)
    return replace(
        fresh, message_id=letter.message_uuid, run=run, replayed=True, span_id=fresh.span_id or letter.span_id
    )


def _words(judgement: Judgement) -> tuple[str, str]:
    return judgement.class_, judgement.proof
