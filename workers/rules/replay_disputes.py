"""The replay check of a dispute's answer. The classes, and what they mean, stand in replay_check.py. Values in, a
ReplayCheck out.
"""

from dataclasses import dataclass, field

from workers.rules.replay_check import CallFacts, ReplayCheck


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """`decided` is the answer that an operator chose and that was not sent yet, "submit" or "accept"; `at_stripe` the
    dispute's status there, None when it was not asked.
    """

    status: str | None
    is_answerable: bool = False
    decided: str | None = None
    deadline_has_passed: bool = False
    call: CallFacts = field(default_factory=CallFacts)
    at_stripe: str | None = None


def check_dispute_answer(facts: DisputeFacts, answer: str) -> ReplayCheck:
    """A `dispute_evidence` (submit) or `dispute_close` (accept) message; both are final at Stripe."""
    if facts.status is None:
        return ReplayCheck("must_not", "the database has no such dispute")
    if not facts.is_answerable:
        return ReplayCheck("already_done", f"the dispute is {facts.status}; it takes no answer any more")
    return _check_answerable(facts, answer)


def _check_answerable(facts: DisputeFacts, answer: str) -> ReplayCheck:
    if facts.at_stripe not in {facts.status, None}:
        return ReplayCheck("safe", f"Stripe has it as {facts.at_stripe}; the replay only writes that down")
    if facts.decided != answer:
        return ReplayCheck("must_not", f"to {answer} is not what was decided last; decide it anew on the dispute")
    if facts.deadline_has_passed:
        return ReplayCheck("must_not", "the deadline for evidence has passed; Stripe takes none any more")
    if facts.call.is_open and facts.call.key_must_not_be_used:
        return ReplayCheck("needs_new_key", "the dispute still waits for an answer, so Stripe has none of ours")
    return ReplayCheck("safe", "the dispute waits for an answer, and this is the one that was decided")
