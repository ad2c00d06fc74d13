"""Replay checks of a payment's own messages: charging it, cancelling it, capturing it. The classes, and what they mean,
stand in replay_check.py. Values in, a ReplayCheck out.
"""

from dataclasses import dataclass, field

from messages.money import Money
from workers.rules.replay_check import CallFacts, ReplayCheck, check_absent


@dataclass(frozen=True, slots=True)
class ChargeFacts:
    """What the database and Stripe say about the payment of a charge, a moment ago.

    `at_stripe` names what Stripe has, "absent" when it was asked and has nothing, and None when it was not asked
    because the database alone decides.
    """

    payment_state: str | None
    amount: Money | None
    call: CallFacts = field(default_factory=CallFacts)
    at_stripe: str | None = None

    @property
    def stripe_must_be_asked(self) -> bool:
        """The database alone cannot decide: a charge was sent and its outcome is unknown."""
        return self.payment_state == "charging" and self.call.is_open


def check_charge(facts: ChargeFacts) -> ReplayCheck:
    """A `charge` message."""
    match facts.payment_state:
        case None:
            return ReplayCheck("must_not", "the database has no such payment")
        case "requested":
            return ReplayCheck("safe", "nothing was ever sent to Stripe for this payment", facts.amount)
        case "charging":
            return _check_charging(facts)
        case "canceled":
            return ReplayCheck("must_not", "the payment was canceled; charging it again would be a new sale")
        case "failed":
            return ReplayCheck("already_done", "the charge was declined; that was its end")
        case state:
            return ReplayCheck("already_done", f"the payment is {state}")


def _check_charging(facts: ChargeFacts) -> ReplayCheck:
    if not facts.call.is_open:
        return ReplayCheck("safe", "no call is open; the charge begins anew under its guards", facts.amount)
    if facts.at_stripe not in {"absent", None}:
        return ReplayCheck("safe", f"Stripe has it as {facts.at_stripe}; the replay only writes that down")
    listed = "Stripe was asked in full, more than a day after the last send, and has nothing"
    return check_absent(facts.call, facts.amount, listed=listed)


def check_cancel(state: str | None, *, requested: bool) -> ReplayCheck:
    """A `cancel` message. A second cancellation is harmless, and never touches a payment that was charged."""
    if state is None:
        return ReplayCheck("must_not", "the database has no such payment")
    if state == "canceled":
        return ReplayCheck("already_done", "the payment is canceled")
    if state == "succeeded":
        return ReplayCheck(
            "already_done", "the payment was charged; what came after a cancellation is refunded by itself"
        )
    if not requested:
        return ReplayCheck("must_not", "no cancellation was requested for this payment")
    return ReplayCheck("safe", f"the payment is {state}; canceling takes no money, and doing it twice is harmless")


@dataclass(frozen=True, slots=True)
class CaptureFacts:
    """`requested` is the amount to capture, None when no capture was requested. `at_stripe` names what Stripe has,
    "Authorized" while the amount is held there, and None when it was not asked.
    """

    state: str | None
    requested: Money | None
    hold_has_ended: bool = False
    call: CallFacts = field(default_factory=CallFacts)
    at_stripe: str | None = None


def check_capture(facts: CaptureFacts) -> ReplayCheck:
    """A `capture` message. An amount is captured once, so an authorization that still holds proves that it was not."""
    if facts.state is None:
        return ReplayCheck("must_not", "the database has no such payment")
    if facts.state == "succeeded":
        return ReplayCheck("already_done", "the payment is captured")
    if facts.state != "authorized":
        return ReplayCheck("must_not", f"the payment is {facts.state}; nothing is held")
    return _check_authorized(facts)


def _check_authorized(facts: CaptureFacts) -> ReplayCheck:
    if facts.at_stripe not in {"Authorized", None}:
        return ReplayCheck("safe", f"Stripe has it as {facts.at_stripe}; the replay only writes that down")
    if facts.requested is None:
        return ReplayCheck("must_not", "no capture was requested for this payment")
    if facts.hold_has_ended:
        return ReplayCheck("must_not", "the authorization has expired; the buyer must pay anew")
    if facts.call.is_open and facts.call.key_must_not_be_used:
        return ReplayCheck("needs_new_key", "Stripe still holds the amount, so nothing was captured", facts.requested)
    return ReplayCheck("safe", "the amount is held and waits to be captured", facts.requested)
