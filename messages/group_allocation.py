"""Which tickets a share pays for: every ticket is paid to the cent, and every share buys something."""

from collections.abc import Sequence

from messages.orders import Ticket


def lines_of_shares(tickets: Sequence[Ticket], shares: Sequence[int]) -> list[tuple[Ticket, ...]]:
    """For each share, its part of the tickets, at the price that this share pays for each.

    Tickets and shares are laid along the same line, in their order, so that both add up to the whole: where a share is
    the price of its own tickets it buys just those, and otherwise a ticket is paid by those whose shares meet on it.
    A free ticket goes with the share it stands at.
    """
    lines: list[list[Ticket]] = [[] for _ in shares]
    at, left = 0, shares[0]
    for ticket in tickets:
        price = ticket.face_price_minor
        if price == 0:
            lines[at].append(ticket)
        while price > 0:
            if left == 0:
                at, left = at + 1, shares[at + 1]
            paid = min(price, left)
            lines[at].append(ticket.model_copy(update={"face_price_minor": paid}))
            price, left = price - paid, left - paid
    return [tuple(line) for line in lines]


def together(lines: Sequence[tuple[Ticket, ...]]) -> tuple[Ticket, ...]:
    """The lines of several shares as one: a ticket that several pay for is listed once, at the sum."""
    prices: dict[Ticket, int] = {}
    named: dict[object, Ticket] = {}
    for line in lines:
        for ticket in line:
            first = named.setdefault(ticket.ticket_id, ticket)
            prices[first] = prices.get(first, 0) + ticket.face_price_minor
    return tuple(ticket.model_copy(update={"face_price_minor": price}) for ticket, price in prices.items())
