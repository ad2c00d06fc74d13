"""How a dispute's words and amounts are read. Values in, values out."""

from messages.money import Money

_DECIDED = frozenset({"won", "lost", "prevented"})


def stage_of(status: str, before: str | None) -> str:
    """inquiry, chargeback or appeal: what the buyer's bank is at. A decision belongs to the stage that it ends.

    Of an inquiry that we last saw open the end is the end of a chargeback, for only that is won or lost.
    """
    if status.startswith("warning_"):
        return "inquiry"
    if status.startswith("appeal_"):
        return "appeal"
    if status in _DECIDED and before == "appeal":
        return "appeal"
    return "chargeback"


def moved(settled: Money, disputed: Money) -> Money:
    """What a balance transaction moved, in the dispute's currency: the amount it says itself, or the disputed amount
    when the balance is kept in another currency; negative when it was taken."""
    if settled.currency == disputed.currency:
        return settled
    sign = (settled.minor > 0) - (settled.minor < 0)
    return Money(sign * disputed.minor, disputed.currency)
