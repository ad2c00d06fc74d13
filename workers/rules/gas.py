"""What a transaction may cost: pure, in wei.

EIP-1559: a block takes its base fee from everybody, and of the rest up to the tip goes to who made the block. The base
fee rises by at most an eighth a block, so that twice today's lasts for about six full blocks.
"""

from dataclasses import dataclass

GWEI = 10**9
# Nodes take the place of a waiting transaction only for a tenth more on both fields, and some want more than exactly
# that (reth #13160); an eighth pleases all of them.
BUMP_NUMERATOR, BUMP_DENOMINATOR = 9, 8


@dataclass(frozen=True, slots=True)
class Fees:
    """What one unit of gas is offered, in wei: at most `max_fee_wei`, of which up to `tip_wei` is the tip."""

    max_fee_wei: int
    tip_wei: int


@dataclass(frozen=True, slots=True)
class GasMarket:
    """What the chain asks just now."""

    base_fee_wei: int
    tip_wei: int

    @property
    def price_wei(self) -> int:
        """What one unit of gas costs in the next block, tip included."""
        return self.base_fee_wei + self.tip_wei


def first_fees(market: GasMarket, *, cap_wei: int) -> Fees | None:
    """What to offer at first; None while even the next block is dearer than the cap."""
    if market.price_wei > cap_wei:
        return None
    return Fees(min(2 * market.base_fee_wei + market.tip_wei, cap_wei), market.tip_wei)


def bumped_fees(last: Fees, market: GasMarket, *, cap_wei: int) -> Fees | None:
    """What to offer in place of a transaction that waits; None when that would pass the cap."""
    tip = max(_bumped(last.tip_wei), market.tip_wei)
    max_fee = max(_bumped(last.max_fee_wei), market.base_fee_wei + tip)
    return Fees(max_fee, tip) if max_fee <= cap_wei else None


def _bumped(wei: int) -> int:
    return -(-wei * BUMP_NUMERATOR // BUMP_DENOMINATOR)


def with_room(estimated: int) -> int:
    """A fifth more than the estimate: the state may be another one when it is mined."""
    return estimated + estimated // 5


def too_dear(market: GasMarket, *, gas: int, mints: int, cap_wei: int) -> bool:
    """Whether one ticket's part of the transaction costs more than we give for a mint."""
    return gas * market.price_wei > cap_wei * mints
