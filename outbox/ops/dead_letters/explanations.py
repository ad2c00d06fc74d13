"""What the codes of dead letters mean, in words for somebody who sees them for the first time.

Values in, words out; the command line and the console say the same. deploy/runbooks/dead-letters.md tells it at length.
"""

from dataclasses import dataclass
from datetime import datetime

from db.dead_letters.views import DeadLetterDetails, DeadLetterLine
from messages.queues import kind_to_message


@dataclass(frozen=True, slots=True)
class Explanation:
    what: str
    then: str  # what to do


CAUSES: dict[str, Explanation] = {
    "tries_used_up": Explanation(
        "every try of its queue failed", "see why the last one failed; once that is over, preview and replay the group"
    ),
    "gave_up": Explanation(
        "a worker judged that no retry can help", "read its reason: put that right first, or discard the letter"
    ),
    "expired": Explanation(
        "it was still failing when it became too old", "preview it: after so long the payment may have moved on"
    ),
    "undecodable": Explanation(
        "its bytes or its payload are not what the model asks for",
        "have the sender send it again, or edit it when it is one of ours",
    ),
    "unknown_actor": Explanation(
        "no actor of this version has its name", "deploy the version that knows it, then replay; or redirect the group"
    ),
    "killed_worker": Explanation(
        "the broker delivered it again and again, and no worker ever answered",
        "find what kills the worker (memory, a crash) before you replay: replay one letter, then the group",
    ),
    "refused": Explanation(
        "the intake refused it: it contradicts what is booked, or names what nobody knows",
        "register what is missing and replay, or discard it and tell the sender",
    ),
}

CLASSES: dict[str, Explanation] = {
    "already_done": Explanation("the work is done already", "replaying closes it and moves no money"),
    "safe": Explanation("the message can run again as it is", "replaying runs it under its old key and guards"),
    "needs_new_key": Explanation("Stripe was asked and has nothing", "replaying sends it under a new key, once"),
    "must_not": Explanation("running it again would be wrong", "replaying skips it; discard it with the reason shown"),
}
NOT_CLASSIFIED = Explanation("not judged yet", "a worker is at it, or none is running")


def class_meaning(name: str | None) -> Explanation:
    return CLASSES.get(name or "", NOT_CLASSIFIED)


@dataclass(frozen=True, slots=True)
class NextStep:
    """What can be done, and the command that does it when there is one."""

    says: str
    command: str | None = None


def next_steps(detail: DeadLetterDetails) -> list[NextStep]:
    """What can be done with a letter now."""
    letter = detail.letter
    if letter.state == "open":
        return _steps_of_open(letter)
    if letter.state == "replaying":
        batch = f" {detail.replays[-1].batch_id}" if detail.replays else ""
        return [NextStep("It is being replayed; see how that goes", f"fleet dlq batches{batch}")]
    if detail.successors:
        return [NextStep("It goes on as its successor", f"fleet dlq show {detail.successors[-1]}")]
    return [NextStep(f"Nothing is left to do: it was {letter.state} by {letter.closed_by}")]


def _steps_of_open(letter: DeadLetterLine) -> list[NextStep]:
    meaning, name = CAUSES[letter.cause], letter.dead_letter_id
    steps = [
        NextStep(f"{_sentence(meaning.what)}: {meaning.then}"),
        NextStep("See what a replay would do, without doing it", f"fleet dlq preview {name} --reason WHY"),
    ]
    if letter.kind in kind_to_message():
        steps.append(NextStep("Change its payload", f"fleet dlq edit {name} --payload FILE --reason WHY"))
    steps.append(NextStep("Close it undone", f"fleet dlq discard {name} --reason WHY"))
    if letter.payment_id:
        steps.append(NextStep("See its payment", f"fleet payment show {letter.payment_id}"))
    return steps


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def cause(code: str) -> str:
    """The code as a person would write it."""
    return code.replace("_", " ")


def age(since: datetime, now: datetime) -> str:
    """How long ago (or, before `now`, how soon) in its largest unit: 45s, 12m, 7h, 3d."""
    seconds = abs((now - since).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"
