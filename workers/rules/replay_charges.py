"""What replaying a dead letter would mean for money, judged from what was just seen. Values in, a judgement out.

already_done   the goal is reached, or can no longer be wanted: closing the letter is a recorded no-op
safe           a replay repeats the same operation under the same guards
needs_new_key  the old key may be forgotten and nothing happened under it: the replay starts a new key generation
must_not       a replay could do harm, or cannot work; the proof says why, and until when
"""

from dataclasses import dataclass

from messages.money import Money

# Stripe may forget a key once it is 24 hours old; an hour is our margin (the book's KEY_LIFE_SECONDS).
KEY_LIFE_SECONDS = 23 * 3_600
SURELY_VISIBLE_SECONDS = 24 * 3_600


@dataclass(frozen=True, slots=True)
class ReplayCheck:
    """`proof` says in words what was seen; `amount` is money that a replay may move, None when it moves none."""

    class_: str
    proof: str
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class ChargeFacts:
    """What the book and Stripe say about the payment of a charge letter, a moment ago.

    call_outcome is None when nothing was ever sent. `at_stripe` names what Stripe has, "absent" when it was asked and
    has nothing, and None when it was not asked because the book alone decides.
    """

    payment_state: str | None
    amount: Money | None
    call_outcome: str | None = None
    key_must_not_be_used: bool = False
    seconds_since_last_send: float = 0.0
    at_stripe: str | None = None


def stripe_must_be_asked(facts: ChargeFacts) -> bool:
    """True when the book alone cannot tell: a call is out and nobody knows its end."""
    return facts.payment_state == "charging" and facts.call_outcome == "unknown"


def judge_charge(facts: ChargeFacts) -> ReplayCheck:
    """A `charge` letter."""
    match facts.payment_state:
        case None:
            return ReplayCheck("must_not", "the book has no such payment")
        case "requested":
            return ReplayCheck("safe", "nothing was ever sent to Stripe for this payment", facts.amount)
        case "charging":
            return _judge_open_call(facts)
        case "canceled":
            return ReplayCheck("must_not", "the payment was cancelled; charging it again would be a new sale")
        case "failed":
            return ReplayCheck("already_done", "the charge was declined; that was its end")
        case state:
            return ReplayCheck("already_done", f"the payment is {state}")


def _judge_open_call(facts: ChargeFacts) -> ReplayCheck:
    if facts.call_outcome != "unknown":
        return ReplayCheck("safe", "no call is out; the charge begins anew under its guards", facts.amount)
    if facts.at_stripe not in {"absent", None}:
        return ReplayCheck("safe", f"Stripe has it as {facts.at_stripe}; the replay only writes that down")
    if not facts.key_must_not_be_used:
        return ReplayCheck("safe", "Stripe has nothing, and the key still lives: the same call again", facts.amount)
    if facts.seconds_since_last_send >= SURELY_VISIBLE_SECONDS:
        seen = "Stripe was asked in full, more than a day after the last send, and has nothing"
        return ReplayCheck("needs_new_key", seen, facts.amount)
    hours = (SURELY_VISIBLE_SECONDS - facts.seconds_since_last_send) / 3_600
    return ReplayCheck("must_not", f"Stripe has nothing yet, which proves absence only in {hours:.1f} hours")


def judge_webhook(inbox_state: str | None) -> ReplayCheck:
    """A `webhook` letter: draining asks Stripe and applies the answer; it moves no money."""
    if inbox_state is None:
        return ReplayCheck("must_not", "the inbox holds no such event")
    if inbox_state in {"applied", "kept"}:
        return ReplayCheck("already_done", f"the event is {inbox_state}")
    return ReplayCheck("safe", f"the event is {inbox_state}; draining it asks Stripe and moves no money")


def judge_lookup(payment_known: bool) -> ReplayCheck:
    """A `lookup` letter: reads Stripe and writes down what it says."""
    if not payment_known:
        return ReplayCheck("must_not", "the book has no such payment")
    return ReplayCheck("safe", "a lookup reads Stripe and moves no money")


def judge_mint(payment_known: bool) -> ReplayCheck:
    """A letter about tokens: it only queues what is not queued yet, and a token id is minted once."""
    if not payment_known:
        return ReplayCheck("must_not", "the book has no such payment")
    return ReplayCheck("safe", "each ticket has one row and one token id; what is queued or minted stays as it is")


def judge_step(*, known: bool, open_: bool) -> ReplayCheck:
    """A step of a mass cancellation or a refund asked for by an operator; each is taken once, under its own lock."""
    if not known:
        return ReplayCheck("must_not", "the book has nothing that this message names")
    if not open_:
        return ReplayCheck("already_done", "it was taken, paused or stopped meanwhile")
    return ReplayCheck("safe", "it was not taken yet, and is taken once whoever comes")


def judge_order(refusal: str | None, *, known: bool, same: bool, amount: Money | None) -> ReplayCheck:
    """An order event that intake refused, read again by today's rules."""
    if refusal is not None:
        return ReplayCheck("must_not", f"intake would refuse it again: {refusal}")
    if known:
        word = "with the same body" if same else "with another body, which stands"
        return ReplayCheck("already_done" if same else "must_not", f"the order is in the book {word}")
    return ReplayCheck("safe", "intake would take it now", amount)


PASSED = ReplayCheck("already_done", "the clock has gone on; the next one does the same")
UNREADABLE = ReplayCheck("must_not", "nobody can read this message; edit it, or discard it")
