"""What a replay check needs to know of a call to Stripe, read from the table of calls."""

from db.stripe_calls import StripeCall
from workers.rules.replay_check import CallFacts


def facts_of(call: StripeCall | None) -> CallFacts:
    """The facts of the live call of an operation; without one, nothing was ever sent."""
    if call is None:
        return CallFacts()
    return CallFacts(call.outcome, call.must_look_up, call.seconds_since_last_send)
