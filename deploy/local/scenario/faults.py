"""Faults at Stripe by name: which calls they hit, and the sets that the proofs share.

A rule is an effect of the emulator (deploy/local/stripe) and its details: which calls or webhooks, how often.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from deploy.local.stripe.control import EmulatorControl
from stripe_client import refunds

Rule = tuple[str, dict[str, Any]]
Calls = dict[str, Any]

CREATE: Calls = {"method": "POST", "path": "/v1/payment_intents"}
CAPTURE: Calls = {"method": "POST", "path": "/v1/payment_intents/*/capture"}
CANCEL: Calls = {"method": "POST", "path": "/v1/payment_intents/*/cancel"}
# With a key of the fleet; the dashboard sends none.
REFUND: Calls = {"method": "POST", "path": "/v1/refunds", "key": f"{refunds.CREATE}:*"}
TRANSFER: Calls = {"method": "POST", "path": "/v1/transfers"}
REVERSAL: Calls = {"method": "POST", "path": "/v1/transfers/*/reversals"}
# The same by families.
PAYMENTS: Calls = {"method": "POST", "path": "/v1/payment_intents*"}
REFUNDS: Calls = {"method": "POST", "path": "/v1/refunds*"}
TRANSFERS: Calls = {"method": "POST", "path": "/v1/transfers*"}


def sometimes(calls: Calls, effect: str, probability: float, **details: Any) -> Rule:
    return effect, {**calls, "probability": probability, **details}


WEBHOOKS_LOST: Rule = ("webhook_drop", {"probability": 0.1})
# Answers get lost, or are an error although Stripe has acted.
PAYMENTS_FAIL = (sometimes(PAYMENTS, "drop_after", 0.01), sometimes(PAYMENTS, "error_with_effect", 0.01))
REFUNDS_FAIL = (sometimes(REFUNDS, "drop_after", 0.03), sometimes(REFUNDS, "error_with_effect", 0.02))
# About one call in twenty, and one webhook in ten.
ON_SALE = (
    *PAYMENTS_FAIL,
    sometimes(PAYMENTS, "drop_before", 0.01),
    sometimes(PAYMENTS, "rate_limit", 0.01, reason="endpoint-rate"),
    sometimes(PAYMENTS, "latency", 0.02, min_seconds=0.2, max_seconds=1.5),
    ("webhook_duplicate", {"probability": 0.03, "copies": 3}),
    ("webhook_shuffle", {"probability": 0.05, "seconds": 3}),
    ("webhook_wrong_signature", {"probability": 0.01}),
)
OF_A_DAY = (*PAYMENTS_FAIL, *REFUNDS_FAIL, sometimes(REFUNDS, "drop_before", 0.02), WEBHOOKS_LOST)
WHERE_SHARES_MOVE = (
    *PAYMENTS_FAIL,
    *REFUNDS_FAIL,
    sometimes(TRANSFERS, "drop_after", 0.03),
    sometimes(TRANSFERS, "drop_before", 0.02),
    sometimes(TRANSFERS, "error_with_effect", 0.02),
    sometimes(TRANSFERS, "rate_limit", 0.02, reason="endpoint-rate"),
    WEBHOOKS_LOST,
)


@contextmanager
def injected(control: EmulatorControl, *rules: Rule) -> Iterator[set[str]]:
    """Until the block is left, or `clear_faults` ends them; the ids of the rules."""
    try:
        yield {control.add_fault(effect, **details) for effect, details in rules}
    finally:
        control.clear_faults()


AGE_UNANSWERED = """
    UPDATE calls SET first_sent_at = first_sent_at - make_interval(secs => %(age)s),
        last_sent_at = last_sent_at - make_interval(secs => %(age)s)
    WHERE outcome = 'unknown'
"""
A_DAY_AND_AN_HOUR = 25 * 3_600


def let_a_day_pass(owner: psycopg.Connection[Any]) -> None:
    """Shares that Stripe's balance did not cover are looked at again in an hour, and a call whose answer was lost is
    absent for sure after a day (M13): let both times pass. Only while Stripe is well and nothing moves.
    """
    owner.execute(AGE_UNANSWERED, {"age": A_DAY_AND_AN_HOUR})
    owner.execute("UPDATE outbox SET due_at = clock_timestamp() WHERE due_at > clock_timestamp()")
