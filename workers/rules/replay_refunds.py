"""The replay check of a refund. The classes, and what they mean, stand in replay_check.py. Values in, a ReplayCheck
out.
"""

from dataclasses import dataclass, field

from messages.money import Money
from workers.rules.replay_check import CallFacts, ReplayCheck, check_absent


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """`disputed_by` names the dispute because of which Stripe refunds nothing.

    `at_stripe` is the refund's status there, "absent" when Stripe was asked and has none, None when it was not asked.
    """

    state: str | None
    amount: Money | None
    disputed_by: str | None = None
    call: CallFacts = field(default_factory=CallFacts)
    at_stripe: str | None = None


def check_refund(facts: RefundFacts) -> ReplayCheck:
    """A `refund` message."""
    match facts.state:
        case None:
            return ReplayCheck("must_not", "the database has no such refund")
        case "failed" | "canceled" | "refused" as ended:
            return ReplayCheck("must_not", f"the refund is {ended} and its reservation is free: request a new one")
        case "requested" | "sending":
            return _check_unfinished(facts)
        case state:
            return ReplayCheck("already_done", f"the refund is {state}")


def _check_unfinished(facts: RefundFacts) -> ReplayCheck:
    if facts.at_stripe not in {"absent", None}:
        return ReplayCheck("safe", f"Stripe has it as {facts.at_stripe}; the replay only writes that down")
    if facts.disputed_by is not None:
        return ReplayCheck("must_not", f"the buyer's bank has taken the money back by dispute {facts.disputed_by}")
    if facts.call.outcome is None:
        return ReplayCheck("safe", "nothing was ever sent to Stripe for this refund", facts.amount)
    listed = "Stripe listed every refund of the payment, more than a day after the last send, and this is none of them"
    return check_absent(facts.call, facts.amount, listed=listed)
