"""What replaying a dead letter would mean, for shares: measuring one, a transfer, a reversal, asking about an account.

The classes, and what they mean, stand in workers/rules/replay_charges.py. Values in, a judgement out.
"""

from dataclasses import dataclass, field

from messages.money import Money
from workers.rules.replay_after_charge import CallFacts
from workers.rules.replay_charges import SURELY_VISIBLE_SECONDS, ReplayCheck

_DONE = frozenset({"paid", "reversed"})
# It came to nothing, its shares were measured anew, and another row asks for what is still open.
_FOLLOWED_BY_ANOTHER = frozenset({"refused", "canceled", "short"})


def judge_share(*, known: bool, settled: bool, gap: Money | None) -> ReplayCheck:
    """A `share` letter: measures the gap, and asks for one movement when there is one and none is under way."""
    if not known:
        return ReplayCheck("must_not", "the book has no such share")
    if settled and (gap is None or not gap.minor):
        return ReplayCheck("already_done", "the share is settled, and nothing of it is open")
    return ReplayCheck("safe", "a share is measured anew each time; only what is still open can move", _to_move(gap))


def _to_move(gap: Money | None) -> Money | None:
    return Money(abs(gap.minor), gap.currency) if gap is not None and gap.minor else None


@dataclass(frozen=True, slots=True)
class MovementFacts:
    """A transfer or a reversal. `at_stripe` is True when Stripe has it, False when it was asked and has nothing of it,
    None when it was not asked.
    """

    word: str
    state: str | None
    amount: Money | None = None
    call: CallFacts = field(default_factory=CallFacts)
    at_stripe: bool | None = None


def judge_movement(facts: MovementFacts) -> ReplayCheck:
    """A `transfer` or `transfer_reversal` letter."""
    if facts.state is None:
        return ReplayCheck("must_not", f"the book has no such {facts.word}")
    if facts.state in _DONE:
        return ReplayCheck("already_done", f"the {facts.word} is {facts.state}")
    if facts.state in _FOLLOWED_BY_ANOTHER:
        said = f"the {facts.word} is {facts.state}; its shares were measured anew, and another asks for what is open"
        return ReplayCheck("already_done", said)
    return _judge_open(facts)


def _judge_open(facts: MovementFacts) -> ReplayCheck:
    if facts.at_stripe:
        return ReplayCheck("safe", "Stripe has made it; the replay only writes that down")
    if facts.call.outcome is None:
        return ReplayCheck("safe", f"nothing was ever sent to Stripe for this {facts.word}", facts.amount)
    if not facts.call.key_must_not_be_used:
        return ReplayCheck("safe", "Stripe has nothing, and the key still lives: the same call again", facts.amount)
    if facts.call.seconds_since_last_send >= SURELY_VISIBLE_SECONDS:
        seen = f"Stripe listed each {facts.word}, more than a day after the last send, and this is none of them"
        return ReplayCheck("needs_new_key", seen, facts.amount)
    hours = (SURELY_VISIBLE_SECONDS - facts.call.seconds_since_last_send) / 3_600
    return ReplayCheck("must_not", f"Stripe has nothing yet, which proves absence only in {hours:.1f} hours")


ACCOUNT = ReplayCheck("safe", "it asks Stripe how the account stands and moves no money")
"""An `account_lookup` letter."""
