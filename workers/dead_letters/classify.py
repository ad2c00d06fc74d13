"""classify: take dead letters of a batch that were not checked yet -> check each by database and Stripe -> write the
result.

Changes no dead letter and no money. Killed half way, the next delivery continues with those that are left; one that is
checked twice keeps the later result.
"""

from loguru import logger

from db.dead_letters import dead_letters, replay_batches
from db.session import Database
from messages.replays import ClassifyDue
from outbox.append import append
from outbox.sealing import Opener, OpenSettings
from stripe_client.gateway import Gateway
from workers.dead_letters.replay_check import check_replay, open_dead_letter
from workers.rules.replay_check import ReplayCheck
from workers.runtime.actor import actor

# A check may ask Stripe once; a chunk stays far below the time limit of the queue.
CHUNK = 20


@actor(ClassifyDue)
def classify(msg: ClassifyDue, db: Database, stripe: Gateway) -> None:
    """Check one chunk of a batch, and append itself until none is left; then the batch is previewed, once.

    Each result is stored in a transaction of its own, because the check before it may ask Stripe (M6).
    """
    opener = Opener(OpenSettings())
    with db.system_transaction() as tx:
        batch = replay_batches.get(tx, msg.batch_id)
        if batch is None or batch.state != "classifying":
            return
        waiting = dead_letters.sealed(tx, replay_batches.unclassified(tx, msg.batch_id, limit=CHUNK))
    for dead_letter in waiting:
        opened = open_dead_letter(dead_letter, opener)
        check = opened if isinstance(opened, ReplayCheck) else check_replay(opened, db, stripe)
        with db.system_transaction() as tx:
            replay_batches.classify(
                tx,
                msg.batch_id,
                dead_letter.dead_letter_id,
                class_=check.class_,
                proof=check.proof,
                amount_minor=check.amount.minor if check.amount else None,
                currency=check.amount.currency if check.amount else None,
            )
    with db.system_transaction() as tx:
        if replay_batches.unclassified(tx, msg.batch_id, limit=1):
            append(tx, msg)
        elif replay_batches.move(tx, msg.batch_id, leaving=("classifying",), to="previewed"):
            logger.info("batch classified", batch_id=msg.batch_id)
