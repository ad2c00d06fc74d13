"""Replay checks of a share, and of the transfers and reversals that move it. The classes, and what they mean, stand in
replay_check.py. Values in, a ReplayCheck out.
"""

from dataclasses import dataclass, field

from messages.money import Money
from workers.rules.replay_check import CallFacts, ReplayCheck, check_absent

_DONE = frozenset({"paid", "reversed"})
# It moved nothing, its shares were compared anew, and another row moves what is still owed.
_REPLACED = frozenset({"refused", "canceled", "short"})


def check_share(*, known: bool, settled: bool, gap: Money | None) -> ReplayCheck:
    """A `share` message: it compares owed with paid, and requests one transfer or reversal if none is under way."""
    if not known:
        return ReplayCheck("must_not", "the database has no such share")
    if settled and (gap is None or not gap.minor):
        return ReplayCheck("already_done", "the share is settled, and nothing of it is open")
    return ReplayCheck("safe", "a share is compared anew each time; only what is still open can move", _to_move(gap))


def _to_move(gap: Money | None) -> Money | None:
    return Money(abs(gap.minor), gap.currency) if gap is not None and gap.minor else None


@dataclass(frozen=True, slots=True)
class MovementFacts:
    """A transfer or a reversal, as `word` says. `at_stripe` is True when Stripe has it, False when it was asked and has
    none, None when it was not asked.
    """

    word: str
    state: str | None
    amount: Money | None = None
    call: CallFacts = field(default_factory=CallFacts)
    at_stripe: bool | None = None


def check_movement(facts: MovementFacts) -> ReplayCheck:
    """A `transfer` or `transfer_reversal` message."""
    if facts.state is None:
        return ReplayCheck("must_not", f"the database has no such {facts.word}")
    if facts.state in _DONE:
        return ReplayCheck("already_done", f"the {facts.word} is {facts.state}")
    if facts.state in _REPLACED:
        said = f"the {facts.word} is {facts.state}; its shares were compared anew, and another one moves what is open"
        return ReplayCheck("already_done", said)
    return _check_unfinished(facts)


def _check_unfinished(facts: MovementFacts) -> ReplayCheck:
    if facts.at_stripe:
        return ReplayCheck("safe", "Stripe has made it; the replay only writes that down")
    if facts.call.outcome is None:
        return ReplayCheck("safe", f"nothing was ever sent to Stripe for this {facts.word}", facts.amount)
    listed = f"Stripe listed each {facts.word}, more than a day after the last send, and this is none of them"
    return check_absent(facts.call, facts.amount, listed=listed)


ACCOUNT = ReplayCheck("safe", "it asks Stripe about the account and moves no money")
"""An `account_lookup` message."""
