"""The replay check: what a second run of a dead message would mean for money, decided from what was just read.

already_done   the goal is reached, or can no longer be reached: the dead letter is resolved without a replay
safe           a replay repeats the same operation under the same guards
needs_new_key  Stripe may have forgotten the key and nothing happened under it: the replay starts a new key generation
must_not       a replay could do harm, or cannot work; the proof says why, and until when

Values in, a ReplayCheck out. This module holds what several domains share; replay_payments.py, replay_refunds.py,
replay_disputes.py and replay_shares.py hold the rules of theirs.
"""

from dataclasses import dataclass

from messages.money import Money

# Stripe may forget a key once it is 24 hours old, and lists what it has within that time.
SURELY_VISIBLE_SECONDS = 24 * 3_600


@dataclass(frozen=True, slots=True)
class ReplayCheck:
    """`proof` says in a sentence what was seen; `amount` is money that a replay may move, None when it moves none."""

    class_: str
    proof: str
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The last call of an operation to Stripe. `outcome` is None when nothing was ever sent."""

    outcome: str | None = None
    key_must_not_be_used: bool = False
    seconds_since_last_send: float = 0.0

    @property
    def is_open(self) -> bool:
        """The call was sent and its outcome is unknown: Stripe must be asked."""
        return self.outcome == "unknown"


COMES_AGAIN = ReplayCheck("already_done", "periodic work: the next run does the same")
UNREADABLE = ReplayCheck("must_not", "the message cannot be read; edit it or discard it")


def check_absent(call: CallFacts, amount: Money | None, *, listed: str) -> ReplayCheck:
    """A call was sent and Stripe has nothing of it. `listed` says what was listed there, as the proof of a new key."""
    if not call.key_must_not_be_used:
        return ReplayCheck("safe", "Stripe has nothing, and the key still lives: the same call again", amount)
    if call.seconds_since_last_send >= SURELY_VISIBLE_SECONDS:
        return ReplayCheck("needs_new_key", listed, amount)
    hours = (SURELY_VISIBLE_SECONDS - call.seconds_since_last_send) / 3_600
    return ReplayCheck("must_not", f"Stripe has nothing yet, which proves absence only in {hours:.1f} hours")


def check_look_up(*, known: bool, what: str) -> ReplayCheck:
    """A message that asks Stripe and writes down the answer."""
    if not known:
        return ReplayCheck("must_not", f"the database has no such {what}")
    return ReplayCheck("safe", "a look-up reads Stripe and moves no money")


def check_webhook(inbox_state: str | None) -> ReplayCheck:
    """A `webhook` message: it asks Stripe and applies the answer; it moves no money."""
    if inbox_state is None:
        return ReplayCheck("must_not", "the inbox has no such event")
    if inbox_state in {"applied", "kept"}:
        return ReplayCheck("already_done", f"the event is {inbox_state}")
    return ReplayCheck("safe", f"the event is {inbox_state}; applying it asks Stripe and moves no money")


def check_mint(*, payment_known: bool) -> ReplayCheck:
    """A message about tokens: it only queues what is not queued yet, and a token id is minted once."""
    if not payment_known:
        return ReplayCheck("must_not", "the database has no such payment")
    return ReplayCheck("safe", "each ticket has one row and one token id; what is queued or minted stays as it is")


def check_once(*, known: bool, is_open: bool) -> ReplayCheck:
    """Work that is a row and is done once, under the row's lock: a step of a mass refund, an operator's request, the
    cancellation of a group.
    """
    if not known:
        return ReplayCheck("must_not", "the database has nothing that this message names")
    if not is_open:
        return ReplayCheck("already_done", "it was done, paused or stopped meanwhile")
    return ReplayCheck("safe", "it was not done yet, and is done once however often the message runs")


def check_order_event(refusal: str | None, *, known: bool, same: bool, amount: Money | None) -> ReplayCheck:
    """An event of the order service that intake refused, read again by today's rules."""
    if refusal is not None:
        return ReplayCheck("must_not", f"intake would refuse it again: {refusal}")
    if known:
        body = "with the same body" if same else "with another body, which stands"
        return ReplayCheck("already_done" if same else "must_not", f"the order is in the database {body}")
    return ReplayCheck("safe", "intake would accept it now", amount)
