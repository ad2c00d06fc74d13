"""The states of a dead letter, and of a batch that replays some, with the legal moves of a dead letter.

dead letter   open -> replaying -> resolved | open (it failed again)
                +-> resolved | discarded

batch         classifying -> previewed -> [awaiting_approval ->] running -> done
              canceled from any state before done
"""

from enum import StrEnum

from db.lifecycle import RespelledState, legal_moves


class DeadLetterState(StrEnum):
    """A dead letter's state. Resolved: its purpose is fulfilled; discarded: a person decided that it never will be."""

    OPEN = "open"
    REPLAYING = "replaying"
    RESOLVED = "resolved"
    DISCARDED = "discarded"


DEAD_LETTER_MOVES = legal_moves(
    DeadLetterState, open="replaying resolved discarded", replaying="open resolved", resolved="", discarded=""
)

# Why a message became a dead letter; outbox/ops/dead_letters/explanations.py says what each means.
CAUSES = ("tries_used_up", "gave_up", "expired", "undecodable", "unknown_actor", "killed_worker", "refused")


class BatchState(RespelledState):
    """Moved by one statement that names the states it leaves (replay_batches.move), so it has no table of moves."""

    CLASSIFYING = "classifying"
    PREVIEWED = "previewed"
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    DONE = "done"
    CANCELED = "canceled"
