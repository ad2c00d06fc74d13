"""What a lost answer does (M13): the call stays unknown, Stripe is asked, and only a proof of absence opens a new key.

`ask` is the only place from which an actor sends something that moves money:

    the call is new, or its key is alive     send it, with the same key and body as last time
    the key may be forgotten by Stripe       look up what became of it; never send
    no answer                                leave it unknown; the retry does the one or the other
    Stripe shows that nothing was done       close this key as absent; the retry sends with the next one
    Stripe lists nothing                     the same, once an object would surely have shown up
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NoReturn, Protocol, TypeVar

from db import stripe_calls
from db.session import Database
from db.stripe_calls import KEY_LIFE_SECONDS, StripeCall
from messages.ids import TenantId
from messages.runtime.crash_points import crash_point
from messages.verdicts import TryAgain, TryLater
from stripe_client.outcomes import Absent, Unanswered

# An object that Stripe rolled forward late must have had time to show up in the list before we call it absent.
SURELY_VISIBLE_SECONDS = 24 * 3_600
LOOK_AGAIN_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class NotDone:
    """The object itself shows that the call had no effect: a hold that is still there, a dispute that still waits."""

    proof: str


Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


class Send(Protocol[Answer_co]):
    """A function of stripe_client that writes, with everything but its key."""

    def __call__(self, *, idempotency_key: str, send_before: float) -> Answer_co: ...


@dataclass(frozen=True)  # a generic class with slots cannot be frozen in Python 3.11
class Question(Generic[Answer]):
    """How one call is sent, and how its effect is looked up. `Answer` is what Stripe can answer to either."""

    send: Send[Answer | Unanswered | NotDone]
    look_up: Callable[[], Answer | Absent | NotDone]


def ask(
    actor: str,
    db: Database,
    tenant_id: TenantId,
    call: StripeCall,
    question: Question[Answer],
) -> Answer:
    """Send a call that was written down, or look up what became of it; returns an answer of Stripe.

    `actor` names the crash points around the call, `<actor>.before_call` and `<actor>.after_call`. No transaction is
    open.

    Raises:
        TryAgain: no answer (the retry sends the same again, or looks it up), or it was proved that nothing was done.
        TryLater: nothing to be seen so far, but something may still show up.
        Verdict: what `send` and `look_up` raise, by the table in stripe_client/errors.py.
    """
    crash_point(f"{actor}.before_call")
    outcome: Answer | Unanswered | Absent | NotDone
    if call.must_look_up:
        outcome = question.look_up()
    else:
        outcome = question.send(idempotency_key=call.idempotency_key, send_before=_key_dies_at(call))
    crash_point(f"{actor}.after_call")
    if isinstance(outcome, Unanswered):
        _leave_unknown(db, tenant_id, call, outcome)
    if isinstance(outcome, Absent):
        _wait_for_absence(db, tenant_id, call, outcome)
    if isinstance(outcome, NotDone):
        _open_next_key(db, tenant_id, call, outcome.proof)
    return outcome


def _key_dies_at(call: StripeCall) -> float:
    """When the key may have been forgotten by Stripe, on time.monotonic: never send after it."""
    return time.monotonic() + KEY_LIFE_SECONDS - call.age_seconds


def _leave_unknown(db: Database, tenant_id: TenantId, call: StripeCall, outcome: Unanswered) -> NoReturn:
    """Nothing is guessed: the retry asks again (same key), or looks first (spent key)."""
    if outcome.key_is_spent:
        with db.transaction(tenant_id) as tx:
            stripe_calls.require_lookup(tx, call, answer=outcome.reason)
    raise TryAgain(outcome.reason)


def _wait_for_absence(db: Database, tenant_id: TenantId, call: StripeCall, absent: Absent) -> NoReturn:
    """Stripe lists nothing: a proof once it is old enough."""
    if call.seconds_since_last_send < SURELY_VISIBLE_SECONDS:
        left = SURELY_VISIBLE_SECONDS - call.seconds_since_last_send
        raise TryLater("Stripe lists no such object, but it may still appear", seconds=min(LOOK_AGAIN_SECONDS, left))
    _open_next_key(db, tenant_id, call, absent.proof)


def _open_next_key(db: Database, tenant_id: TenantId, call: StripeCall, proof: str) -> NoReturn:
    with db.transaction(tenant_id) as tx:
        stripe_calls.prove_absent(tx, call, proof=proof)
    raise TryAgain(f"proved absent, the next try uses a fresh key: {proof}")
