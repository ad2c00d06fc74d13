"""Paid orders for the proof: who sells, who buys, into which wallet, and what royalty a resale must give. From a seed.

What must be on the chain in the end is known from here alone, and not from the fleet's book.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID, uuid4, uuid5

from deploy.local.scenario import events
from deploy.local.scenario.events import Publication
from deploy.local.scenario.minting import royalty_of, wallet
from deploy.local.scenario.orders import tenants
from messages.ids import TenantId, TicketId
from messages.token_ids import series_of, token_id_of

_NAMES = UUID("0f0b5b53-5f3a-5d55-9d0c-7f1d0d2a9c02")
EVENTS_OF_A_VENUE = 2
TICKETS_OF_AN_ORDER = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ticket as it must end: its token, whose it is, and the royalty (receiver, basis points) of its event."""

    token_id: str
    wallet: str
    royalty: tuple[str, int]


def orders(tickets: int, seed: int) -> tuple[list[Publication], list[Wanted]]:
    """Orders over so many tickets, each published twice and some once more; and what must come of them."""
    chance = Random(seed)  # noqa: S311  seeded, not a secret
    run = uuid4().hex
    published: list[Publication] = []
    wanteds: list[Wanted] = []
    left = tickets
    while left:
        size = min(left, TICKETS_OF_AN_ORDER)
        left -= size
        data, of_order = _order(chance, f"{run}/{left}", size)
        wanteds += of_order
        placed = events.order(data)
        published.append(placed)
        again = Publication(placed.body, {"published": "duplicate"})
        published += [again] * (2 if chance.random() < 0.1 else 1)
    return published, wanteds


def _order(chance: Random, key: str, size: int) -> tuple[dict[str, Any], list[Wanted]]:
    tenant = chance.choice(tenants())
    venue = chance.choice(tenant.venues)
    event_id = uuid5(_NAMES, f"{venue.venue_id}/{chance.randrange(EVENTS_OF_A_VENUE)}")
    tickets = [uuid5(_NAMES, f"{key}/{seat}") for seat in range(size)]
    buyer = None if chance.random() < 0.1 else wallet(f"buyer {chance.randrange(200)}")
    owners = [wallet(f"friend {chance.randrange(50)}") if chance.random() < 0.1 else None for _ in tickets]
    data = {
        "order_id": str(uuid5(_NAMES, f"order/{key}")),
        "tenant_id": str(tenant.tenant_id),
        "venue_id": str(venue.venue_id),
        "event_id": str(event_id),
        "buyer_id": "buyer-1",
        "tickets": [
            {"ticket_id": str(ticket), "face_price_minor": 1_000, "seat": f"A{seat}"}
            | ({"wallet": owner} if owner else {})
            for seat, (ticket, owner) in enumerate(zip(tickets, owners, strict=True))
        ],
        "amount": {"minor": 1_000 * size, "currency": venue.currency},
        "payment_method_id": "pm_card_visa",
        "idempotency_key": f"click-{uuid5(_NAMES, f'click/{key}')}",
    } | ({"wallet": buyer} if buyer else {})
    series = series_of(TenantId(tenant.tenant_id), event_id)
    kept = wallet(f"kept by {venue.name}")
    return data, [
        Wanted(token_id_of(series, TicketId(ticket)), owner or buyer or kept, royalty_of(venue.name))
        for ticket, owner in zip(tickets, owners, strict=True)
    ]
