"""Paid orders for the proof: who sells, who buys, into which wallet, and what royalty a resale must give. From a seed.

What must be on the chain in the end is known from here alone, and not from the fleet's book.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID, uuid4, uuid5

import psycopg

from db.minting import venue_settings
from db.minting.venue_settings import MintSettings
from deploy.local.proofs.demo.sale import Publication, tenants
from messages.base import dataschema
from messages.ids import TenantId, TicketId
from messages.orders import OrderPlaced
from messages.token_ids import checksummed, keccak256, series_of, token_id_of

_NAMES = UUID("0f0b5b53-5f3a-5d55-9d0c-7f1d0d2a9c02")
EVENTS_OF_A_VENUE = 2
TICKETS_OF_AN_ORDER = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ticket as it must end: its token, whose it is, and the royalty (receiver, basis points) of its event."""

    token_id: str
    wallet: str
    royalty: tuple[str, int]


def wallet(name: str) -> str:
    """The address of somebody who is made up."""
    return checksummed("0x" + keccak256(name.encode())[-20:].hex())


def let_venues_mint(owner: psycopg.Connection[Any]) -> None:
    """Every venue of the demo mints; buyers without a wallet get theirs kept by the venue."""
    for tenant in tenants():
        mint_settingses = [
            MintSettings(
                venue.venue_id,
                "on",
                custodial_wallet=wallet(f"kept by {venue.name}"),
                royalty_receiver=royalty_of(venue.name)[0],
                royalty_basis_points=royalty_of(venue.name)[1],
            )
            for venue in tenant.venues
        ]
        venue_settings.write(owner, tenant.tenant_id, mint_settingses)


def royalty_of(venue_name: str) -> tuple[str, int]:
    return wallet(f"royalties of {venue_name}"), 250 + 50 * len(venue_name)


def orders(tickets: int, seed: int) -> tuple[list[Publication], list[Wanted]]:
    """Orders over so many tickets, each published twice and some once more; and what must come of them."""
    chance = Random(seed)  # noqa: S311  a story from a seed, not a secret
    run = uuid4().hex
    published: list[Publication] = []
    wanteds: list[Wanted] = []
    left = tickets
    while left:
        size = min(left, TICKETS_OF_AN_ORDER)
        left -= size
        data, of_order = _order(chance, f"{run}/{left}", size)
        wanteds += of_order
        body = _event(data)
        published.append(Publication(body, {"published": "order", "order_id": data["order_id"]}))
        again = Publication(body, {"published": "duplicate"})
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


def _event(data: dict[str, Any]) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"evt-{data['order_id']}",
            "source": "/order-service",
            "type": OrderPlaced.event_type,
            "time": datetime.now(UTC).isoformat(),
            "dataschema": dataschema(OrderPlaced.event_type, OrderPlaced.version),
            "data": data,
        }
    ).encode()
