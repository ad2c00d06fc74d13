"""What replaying a dead letter would mean, for what comes after the charge: refunds, cancelling, capturing, disputes.

The classes, and what they mean, stand in workers/rules/replay_charges.py. Values in, a judgement out.
"""

from dataclasses import dataclass

from messages.money import Money
from workers.rules.replay_charges import SURELY_VISIBLE_SECONDS, ReplayCheck


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The live call of the operation. `outcome` is None when nothing was ever sent."""

    outcome: str | None = None
    key_must_not_be_used: bool = False
    seconds_since_last_send: float = 0.0

    @property
    def is_open(self) -> bool:
        """A call is out and nobody knows its end: Stripe must be asked."""
        return self.outcome == "unknown"


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """`disputed_by` names the chargeback beside which Stripe refunds nothing.

    `at_stripe` is what Stripe has of it, "absent" when it was asked and has nothing, None when it was not asked.
    """

    state: str | None
    amount: Money | None
    disputed_by: str | None = None
    call: CallFacts = CallFacts()
    at_stripe: str | None = None


def judge_refund(facts: RefundFacts) -> ReplayCheck:
    """A `refund` letter."""
    match facts.state:
        case None:
            return ReplayCheck("must_not", "the book has no such refund")
        case "failed" | "canceled" | "refused" as dead:
            return ReplayCheck("must_not", f"the refund is {dead} and its reservation is free: ask for a new one")
        case "requested" | "sending":
            return _judge_unsent_refund(facts)
        case state:
            return ReplayCheck("already_done", f"the refund is {state}")


def _judge_unsent_refund(facts: RefundFacts) -> ReplayCheck:
    if facts.at_stripe not in {"absent", None}:
        return ReplayCheck("safe", f"Stripe has it as {facts.at_stripe}; the replay only writes that down")
    if facts.disputed_by is not None:
        return ReplayCheck("must_not", f"the buyer's bank has taken the money back by dispute {facts.disputed_by}")
    if facts.call.outcome is None:
        return ReplayCheck("safe", "nothing was ever sent to Stripe for this refund", facts.amount)
    if not facts.call.key_must_not_be_used:
        return ReplayCheck("safe", "Stripe has nothing, and the key still lives: the same call again", facts.amount)
    if facts.call.seconds_since_last_send >= SURELY_VISIBLE_SECONDS:
        seen = (
            "Stripe listed every refund of the payment, more than a day after the last send, and this is none of them"
        )
        return ReplayCheck("needs_new_key", seen, facts.amount)
    hours = (SURELY_VISIBLE_SECONDS - facts.call.seconds_since_last_send) / 3_600
    return ReplayCheck("must_not", f"Stripe has nothing yet, which proves absence only in {hours:.1f} hours")


def judge_cancel(state: str | None, *, wished: bool) -> ReplayCheck:
    """A `cancel` letter. Cancelling twice is harmless, and a payment that was charged is never touched by it."""
    if state is None:
        return ReplayCheck("must_not", "the book has no such payment")
    if state == "canceled":
        return ReplayCheck("already_done", "the payment is canceled")
    if state == "succeeded":
        return ReplayCheck(
            "already_done", "the payment was charged; what came after a cancellation is refunded by itself"
        )
    if not wished:
        return ReplayCheck("must_not", "nobody asked to cancel this payment")
    return ReplayCheck("safe", f"the payment is {state}; cancelling takes no money, and doing it twice is harmless")


@dataclass(frozen=True, slots=True)
class CaptureFacts:
    """`wanted` is what was asked to be captured, None when nobody did. `at_stripe` as for a refund, or "Authorized"."""

    state: str | None
    wanted: Money | None
    hold_has_ended: bool = False
    call: CallFacts = CallFacts()
    at_stripe: str | None = None


def judge_capture(facts: CaptureFacts) -> ReplayCheck:
    """A `capture` letter. An amount is captured once, so a hold that still stands proves that it was not."""
    if facts.state is None:
        return ReplayCheck("must_not", "the book has no such payment")
    if facts.state == "succeeded":
        return ReplayCheck("already_done", "the payment is captured")
    if facts.state != "authorized":
        return ReplayCheck("must_not", f"the payment is {facts.state}; nothing is held")
    return _judge_held(facts)


def _judge_held(facts: CaptureFacts) -> ReplayCheck:
    if facts.at_stripe not in {"Authorized", None}:
        return ReplayCheck("safe", f"Stripe has it as {facts.at_stripe}; the replay only writes that down")
    if facts.wanted is None:
        return ReplayCheck("must_not", "nobody asked to capture this payment")
    if facts.hold_has_ended:
        return ReplayCheck("must_not", "the authorisation has expired; the buyer must pay anew")
    if facts.call.is_open and facts.call.key_must_not_be_used:
        return ReplayCheck("needs_new_key", "Stripe still holds the amount, so nothing was captured", facts.wanted)
    return ReplayCheck("safe", "the amount is held and waits to be captured", facts.wanted)


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """`wish` is what an operator decided and nobody has done yet; `at_stripe` the status there, when it was asked."""

    status: str | None
    is_answerable: bool = False
    wish: str | None = None
    deadline_has_passed: bool = False
    call: CallFacts = CallFacts()
    at_stripe: str | None = None


def judge_dispute_answer(facts: DisputeFacts, wish: str) -> ReplayCheck:
    """A `dispute_evidence` (wish: submit) or `dispute_close` (accept) letter; both are final at Stripe."""
    if facts.status is None:
        return ReplayCheck("must_not", "the book has no such dispute")
    if not facts.is_answerable:
        return ReplayCheck("already_done", f"the dispute is {facts.status}; it takes no answer any more")
    return _judge_answerable(facts, wish)


def _judge_answerable(facts: DisputeFacts, wish: str) -> ReplayCheck:
    if facts.at_stripe not in {facts.status, None}:
        return ReplayCheck("safe", f"Stripe has it as {facts.at_stripe}; the replay only writes that down")
    if facts.wish != wish:
        return ReplayCheck("must_not", f"to {wish} is not what was decided last; decide it anew on the dispute")
    if facts.deadline_has_passed:
        return ReplayCheck("must_not", "the deadline for evidence has passed; Stripe takes none any more")
    if facts.call.is_open and facts.call.key_must_not_be_used:
        return ReplayCheck("needs_new_key", "the dispute still waits for an answer, so Stripe has none of ours")
    return ReplayCheck("safe", "the dispute waits for an answer, and this is the one that was decided")


def judge_reading(known: bool, what: str) -> ReplayCheck:
    """A letter that only asks Stripe and writes down what it says."""
    if not known:
        return ReplayCheck("must_not", f"the book has no such {what}")
    return ReplayCheck("safe", "a lookup reads Stripe and moves no money")
