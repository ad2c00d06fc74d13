"""Resales of tickets: the seller, the price, and its limits relative to the face value."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from messages.base import WireModel
from messages.fees import BASIS_POINTS
from messages.ids import AccountId, RecipientId
from messages.money import LARGEST_MINOR
from messages.orders import OrderPlaced, ShortText, Ticket


class Seller(WireModel):
    """The seller of the tickets."""

    recipient_id: RecipientId
    name: ShortText
    account_id: AccountId | None = Field(
        default=None, description="The seller's connected account; without it the seller's share waits for one."
    )


class ResoldTicket(Ticket):
    """A ticket with its original face price and its resale price."""

    price_minor: int = Field(
        ge=0, le=LARGEST_MINOR, strict=True, description="Resale price in minor units of the order's currency."
    )


class OrderResold(OrderPlaced):
    """`order.resold`: charge `amount`, the sum of the resale prices, for tickets that `seller` resells."""

    event_type: ClassVar[str] = "order.resold"

    tickets: tuple[ResoldTicket, ...] = Field(min_length=1, max_length=100)
    seller: Seller

    def ticket_prices(self) -> list[int]:
        return [ticket.price_minor for ticket in self.tickets]


@dataclass(frozen=True, slots=True)
class ResaleRule:
    """Limits of a resale price, in basis points of the face value; without a ceiling there is no upper limit."""

    floor_basis_points: int = 0
    ceiling_basis_points: int | None = None


def outside_of(rule: ResaleRule, ticket: ResoldTicket) -> str | None:
    """Why the rule forbids this price; None if it allows it. The limits themselves are allowed."""
    price, face = ticket.price_minor * BASIS_POINTS, ticket.face_price_minor
    if rule.ceiling_basis_points is not None and price > face * rule.ceiling_basis_points:
        most = face * rule.ceiling_basis_points // BASIS_POINTS
        return f"ticket {ticket.ticket_id} may be resold for at most {most} minor units, not {ticket.price_minor}"
    if price < face * rule.floor_basis_points:
        least = -(-face * rule.floor_basis_points // BASIS_POINTS)
        return f"ticket {ticket.ticket_id} must be resold for at least {least} minor units, not {ticket.price_minor}"
    return None
