"""Explanations of failure causes and replay classes, for an operator who sees them for the first time.

The command line shows these texts; deploy/runbooks/dead-letters.md explains the same codes in more detail.
"""

from dataclasses import dataclass
from datetime import datetime

from db.dead_letters.views import DeadLetterDetails, DeadLetterLine
from messages.queues import kind_to_message
from outbox.ops.labels import label


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means, and what to do then; both are parts of a sentence, without a capital or a full stop."""

    what: str
    then: str  # what to do


CAUSES: dict[str, Explanation] = {
    "tries_used_up": Explanation(
        "every attempt failed",
        "read the error of the last attempt; once its cause is fixed, preview and replay the group",
    ),
    "gave_up": Explanation(
        "a worker decided that retrying cannot help", "read the reason; fix it first, or discard the dead letter"
    ),
    "expired": Explanation(
        "it was still failing when it reached its maximum age", "preview it first: the payment may have changed since"
    ),
    "undecodable": Explanation(
        "the message cannot be decoded, or its payload fails validation",
        "ask the sender to send it again; the payload of an internal message can be edited",
    ),
    "unknown_actor": Explanation(
        "this version has no actor of that name", "deploy a version that has it, then replay; or redirect the group"
    ),
    "killed_worker": Explanation(
        "the broker redelivered it until the delivery limit; no worker acknowledged it",
        "find out what kills the worker (memory, a crash) first; then replay one dead letter, then the group",
    ),
    "refused": Explanation(
        "intake rejected it: it contradicts recorded data, or refers to something unknown",
        "register what is missing and replay, or discard it and inform the sender",
    ),
}

CLASSES: dict[str, Explanation] = {
    "already_done": Explanation("the work has already been done", "replaying closes the dead letter; no money moves"),
    "safe": Explanation("the message can be processed again unchanged", "replaying uses the same idempotency key"),
    "needs_new_key": Explanation(
        "Stripe has no record of the operation", "replaying sends it once, with a new idempotency key"
    ),
    "must_not": Explanation(
        "processing it again would be wrong", "replaying skips it; discard it with the reason shown"
    ),
}
NOT_CLASSIFIED = Explanation("not classified yet", "a worker is classifying it, or no worker is running")


def class_meaning(name: str | None) -> Explanation:
    """The meaning of a replay class; None is an item that no worker has classified yet."""
    return CLASSES.get(name or "", NOT_CLASSIFIED)


@dataclass(frozen=True, slots=True)
class NextStep:
    """A possible action, and its command if there is one."""

    says: str
    command: str | None = None


def next_steps(detail: DeadLetterDetails) -> list[NextStep]:
    """The possible actions on a dead letter in its current state, the recommended one first."""
    letter = detail.letter
    if letter.state == "open":
        return _steps_of_open(letter)
    if letter.state == "replaying":
        batch = f" {detail.replays[-1].batch_id}" if detail.replays else ""
        return [NextStep("It is being replayed; show the progress", f"fleet dlq batches{batch}")]
    if detail.successors:
        return [NextStep("It was replaced by its successor", f"fleet dlq show {detail.successors[-1]}")]
    return [NextStep(f"Nothing to do: it was {letter.state} by {letter.closed_by}")]


def _steps_of_open(letter: DeadLetterLine) -> list[NextStep]:
    meaning, name = CAUSES[letter.cause], letter.dead_letter_id
    steps = [
        NextStep(f"{_sentence(meaning.what)}: {meaning.then}"),
        NextStep("Preview a replay without running it", f"fleet dlq preview {name} --reason WHY"),
    ]
    if letter.kind in kind_to_message():
        steps.append(NextStep("Edit its payload", f"fleet dlq edit {name} --payload FILE --reason WHY"))
    steps.append(NextStep("Discard it", f"fleet dlq discard {name} --reason WHY"))
    if letter.payment_id:
        steps.append(NextStep("Show its payment", f"fleet payment show {letter.payment_id}"))
    return steps


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def cause(code: str) -> str:
    """The code as it is shown."""
    return label(code)


def age(since: datetime, now: datetime) -> str:
    """How long ago (or, before `now`, how soon) in its largest unit: 45s, 12m, 7h, 3d."""
    seconds = abs((now - since).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"
