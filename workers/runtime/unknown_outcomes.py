"""A call whose end nobody knows (M13): it stays unknown, is asked for, and only a proof of absence opens a new key."""

import time
from typing import NoReturn

from db import stripe_calls
from db.session import Database
from db.stripe_calls import KEY_LIFE_SECONDS, StripeCall
from messages.ids import TenantId
from messages.verdicts import TryAgain, TryLater
from stripe_client.outcomes import Absent, Unanswered

# An object that Stripe rolled forward late must have had time to show up in the list before we call it absent.
SURELY_VISIBLE_SECONDS = 24 * 3_600
LOOK_AGAIN_SECONDS = 3_600


def key_dies_at(call: StripeCall) -> float:
    """When the key may have been forgotten by Stripe, on time.monotonic: never send after it."""
    return time.monotonic() + KEY_LIFE_SECONDS - call.age_seconds


def leave_unknown(db: Database, tenant_id: TenantId, call: StripeCall, outcome: Unanswered) -> NoReturn:
    """Nothing is guessed: the retry asks again (same key), or looks first (spent key).

    Raises:
        TryAgain: always.
    """
    if outcome.key_is_spent:
        with db.transaction(tenant_id) as tx:
            stripe_calls.require_lookup(tx, call, answer=outcome.reason)
    raise TryAgain(outcome.reason)


def wait_for_absence(db: Database, tenant_id: TenantId, call: StripeCall, absent: Absent) -> NoReturn:
    """Stripe has nothing: open the next generation, if that is a proof by now.

    Raises:
        TryLater: absent so far, but something may still show up.
        TryAgain: proved absent; the next delivery sends with a fresh key.
    """
    if call.seconds_since_last_send < SURELY_VISIBLE_SECONDS:
        left = SURELY_VISIBLE_SECONDS - call.seconds_since_last_send
        raise TryLater("Stripe lists no such object, but it may still appear", seconds=min(LOOK_AGAIN_SECONDS, left))
    with db.transaction(tenant_id) as tx:
        stripe_calls.prove_absent(tx, call, proof=absent.proof)
    raise TryAgain(f"proved absent, the next try uses a fresh key: {absent.proof}")
