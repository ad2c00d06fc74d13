"""classify: take letters of a batch that nobody has judged -> look at the book and Stripe -> write the judgement.

Changes no letter and no money. Killed half way, the next delivery goes on with the letters that are left; a letter
judged twice holds the later judgement.
"""

from loguru import logger

from db.dead_letters import dead_letters, replay_batches
from db.session import Database
from messages.replays import ClassifyDue
from outbox.append import append
from outbox.sealing import Opener, OpenSettings
from stripe_client.gateway import Gateway
from workers.dead_letters.judge import judge, open_letter
from workers.rules.replay_charges import ReplayCheck
from workers.runtime.actor import actor

# Judging may ask Stripe once a letter; a chunk stays far below the time limit of the queue.
CHUNK = 20


@actor(ClassifyDue)
def classify(msg: ClassifyDue, db: Database, stripe: Gateway) -> None:
    opener = Opener(OpenSettings())
    with db.system_transaction() as tx:
        batch = replay_batches.get(tx, msg.batch_id)
        if batch is None or batch.state != "classifying":
            return
        waiting = dead_letters.sealed(tx, replay_batches.unclassified(tx, msg.batch_id, limit=CHUNK))
    for letter in waiting:
        opened = open_letter(letter, opener)
        judgement = opened if isinstance(opened, ReplayCheck) else judge(opened, db, stripe)
        with db.system_transaction() as tx:
            replay_batches.classify(
                tx,
                msg.batch_id,
                letter.dead_letter_id,
                class_=judgement.class_,
                proof=judgement.proof,
                amount_minor=judgement.amount.minor if judgement.amount else None,
                currency=judgement.amount.currency if judgement.amount else None,
            )
    with db.system_transaction() as tx:
        if replay_batches.unclassified(tx, msg.batch_id, limit=1):
            append(tx, msg)
        elif replay_batches.move(tx, msg.batch_id, leaving=("classifying",), to="previewed"):
            logger.info("batch classified", batch_id=msg.batch_id)
