"""Who gets what of a sale, and what each gives back when the buyer gets money back.

A royalty is basis points of what the buyer paid; whoever sells (the venue, or the seller of a resale) gets the rest,
and so bears the platform's fee. When fee and royalties would be more than the sale, the royalties are cut in
proportion and the seller gets nothing: no leg is ever negative, and a leg of nothing stands there as such.

Legs add up to the cent by largest remainder (Money.allocate); among equal remainders the earlier leg gets the odd cent,
and legs stand in the order of their recipients' ids, the seller last. So the same settings always cut the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messages.fees import BASIS_POINTS
from messages.money import Money


@dataclass(frozen=True, slots=True)
class RoyaltyTerm:
    """What one recipient is promised of a sale."""

    recipient_id: UUID
    basis_points: int


@dataclass(frozen=True, slots=True)
class Leg:
    """One part of a sale. `basis_points` is None for whoever gets the rest."""

    recipient_id: UUID
    basis: str
    basis_points: int | None
    amount: Money


def legs(
    sold: Money, platform_fee: Money, royalties: Sequence[RoyaltyTerm], *, seller_id: UUID, basis: str
) -> list[Leg]:
    """Cut a sale of `sold` into its legs; they add up to `sold` less the platform's fee.

    `basis` says who the seller is: venue (a first sale) or seller (a resale).

    Raises:
        ValueError: royalties of more than 100 %.
    """
    promised = sum(royalty.basis_points for royalty in royalties)
    if promised > BASIS_POINTS:
        raise ValueError(f"royalties of {promised} basis points are more than the sale")
    ordered = sorted(royalties, key=lambda royalty: royalty.recipient_id)
    distributable = sold - platform_fee
    weights = [royalty.basis_points for royalty in ordered]
    *parts, rest = sold.allocate([*weights, BASIS_POINTS - promised])
    rest = rest - platform_fee
    if rest.minor < 0:
        parts, rest = distributable.allocate(weights), Money(0, sold.currency)
    return [
        *(
            Leg(royalty_term.recipient_id, "royalty", royalty_term.basis_points, part)
            for royalty_term, part in zip(ordered, parts, strict=True)
        ),
        Leg(seller_id, basis, None, rest),
    ]


def taken_back(amount: Money, left: Sequence[int]) -> list[Money]:
    """Take `amount` back from legs that have `left` minor units each, in proportion to these.

    Each time in proportion to what is left, so no leg gives more than it has, and once everything is back exactly
    everything is, in however many pieces (M12).

    Raises:
        ValueError: more is to be taken back than is left.
    """
    if amount.minor > sum(left):
        raise ValueError(f"{amount} cannot come back from legs that have {sum(left)} minor units left")
    if not amount.minor:
        return [Money(0, amount.currency) for _ in left]
    return amount.allocate(left)
