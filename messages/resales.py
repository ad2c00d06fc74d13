"""A ticket is sold again: by whom, for how much, and within which bounds of its face value."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from messages.base import WireModel
from messages.fees import BASIS_POINTS
from messages.ids import AccountId, RecipientId
from messages.money import LARGEST_MINOR
from messages.orders import OrderPlaced, ShortText, Ticket


class Seller(WireModel):
    """Who sells, and the connected account that the money goes to; without one the seller's share waits for it."""

    recipient_id: RecipientId
    name: ShortText
    account_id: AccountId | None = None


class ResoldTicket(Ticket):
    """A ticket with its first face price, and what it is sold for now."""

    price_minor: int = Field(ge=0, le=LARGEST_MINOR, strict=True)


class OrderResold(OrderPlaced):
    """`order.resold`: charge `amount` for tickets that `seller` gives away. The amount is the sum of their prices."""

    event_type: ClassVar[str] = "order.resold"

    tickets: tuple[ResoldTicket, ...] = Field(min_length=1, max_length=100)
    seller: Seller

    def ticket_prices(self) -> list[int]:
        return [ticket.price_minor for ticket in self.tickets]


@dataclass(frozen=True, slots=True)
class ResaleRule:
    """Bounds of a resale price, in basis points of the face value; no ceiling means as much as anybody pays."""

    floor_basis_points: int = 0
    ceiling_basis_points: int | None = None


def outside_of(rule: ResaleRule, ticket: ResoldTicket) -> str | None:
    """Why the rule forbids this price; None when it allows it. The bounds themselves are allowed."""
    price, face = ticket.price_minor * BASIS_POINTS, ticket.face_price_minor
    if rule.ceiling_basis_points is not None and price > face * rule.ceiling_basis_points:
        most = face * rule.ceiling_basis_points // BASIS_POINTS
        return f"ticket {ticket.ticket_id} may be resold for {most} minor units at the most, not {ticket.price_minor}"
    if price < face * rule.floor_basis_points:
        least = -(-face * rule.floor_basis_points // BASIS_POINTS)
        return (
            f"ticket {ticket.ticket_id} must be resold for {least} minor units at the least, not {ticket.price_minor}"
        )
    return None
