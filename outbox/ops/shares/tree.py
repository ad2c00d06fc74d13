"""The split of a payment as a tree: recipients, their shares, and the part of each share that belongs to each ticket.

A share is fixed for the payment as a whole. It is allocated over the tickets in proportion to their prices, by largest
remainder (Money.allocate), so that each share sums to the cent; the parts of one ticket may differ from its price by
odd cents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from db.session import Tx
from db.shares import escrow
from db.shares import views as share_views
from db.shares.escrow import EscrowLine
from db.shares.views import ShareLine, ShareTransfer, TicketSold
from messages.money import Money


@dataclass(frozen=True, slots=True)
class TicketShares:
    """One ticket and its part of each share, in the order of the payment's shares, in minor units."""

    ticket: TicketSold
    parts_minor: list[int]


@dataclass(frozen=True, slots=True)
class ShareTree:
    """The split of one payment.

    Attributes:
        held: its escrow, released or not.
        shares: royalties first, the seller's last.
        movements: by share id, its transfers and reversals in the order of time; every share has an entry.
        tickets: the tickets of the order with their parts; empty when it has none.
    """

    held: EscrowLine
    shares: list[ShareLine]
    movements: dict[UUID, list[ShareTransfer]]
    tickets: list[TicketShares]


def tree_of(tx: Tx, payment_id: UUID) -> ShareTree | None:
    """Read the split in the caller's ops transaction. None: there is no such payment, or it has no shares (yet)."""
    held = escrow.of_payment(tx, payment_id)
    if held is None:
        return None
    cut = share_views.of_payment(tx, payment_id)
    moved: dict[UUID, list[ShareTransfer]] = {share.share_id: [] for share in cut}
    for share_transfer in share_views.movements(tx, payment_id):
        moved[share_transfer.share_id].append(share_transfer)
    return ShareTree(held, cut, moved, per_ticket(cut, share_views.tickets_of(tx, payment_id)))


def per_ticket(cut: Sequence[ShareLine], tickets: Sequence[TicketSold]) -> list[TicketShares]:
    """The part of each share for each ticket, in the order of `tickets`. Tickets that are all free share equally."""
    if not tickets:
        return []
    prices = [ticket.price_minor for ticket in tickets]
    weights = prices if sum(prices) else [1] * len(prices)
    columns = [[part.minor for part in Money(share.amount_minor, share.currency).allocate(weights)] for share in cut]
    return [TicketShares(ticket, [column[row] for column in columns]) for row, ticket in enumerate(tickets)]
