"""A realistic on-sale from a seed: who sells, who buys, how they pay, and what goes wrong on the way in.

The same seed gives the same orders, cards, duplicates and poison; only ids that must be new in every run (orders,
clicks) carry the run's own number.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any
from uuid import UUID, uuid5

from db.tenants.tenants import Tenant, Venue
from deploy.local.scenario import events
from deploy.local.scenario.events import Publication
from messages.base import dataschema
from messages.fees import FeePlan
from messages.ids import TenantId, VenueId
from messages.orders import OrderPlaced
from messages.token_ids import checksummed, keccak256

_NAMES = UUID("6f1e0b52-9f0c-5c0e-8a43-3c1de4a7c001")  # namespace of these ids

# name, currency, percent in basis points, fixed part, price of a seat (all money in minor units)
_VENUES = {
    "Rhine Arena": [("Main Hall", "eur", 500, 50, 6900), ("Club Stage", "eur", 800, 30, 2450)],
    "Harbour Live": [("Pier 7", "gbp", 450, 40, 5500)],
    "Sunset Promotions": [("Bowl", "usd", 600, 99, 12500), ("Backroom", "usd", 1000, 25, 1800)],
    "Kumo Presents": [("Kumo Dome", "jpy", 550, 80, 9800)],
}

# What buyers hold in their hands, out of a thousand (test payment methods of docs.stripe.com/testing).
CARDS = {
    "pm_card_visa": 640,
    "pm_card_mastercard": 150,
    "pm_card_amex": 40,
    "pm_card_threeDSecure2Required": 60,
    "pm_card_visa_chargeDeclined": 35,
    "pm_card_visa_chargeDeclinedInsufficientFunds": 45,
    "pm_card_chargeDeclinedExpiredCard": 12,
    "pm_card_chargeDeclinedProcessingError": 10,
    "pm_nobody_knows_this_card": 8,
}
_GROUP_SIZES = {1: 30, 2: 45, 3: 8, 4: 12, 6: 4, 8: 1}
_DUPLICATES_PER_THOUSAND = 40
_POISON_PER_THOUSAND = 12
_HELD_PER_THOUSAND = 15  # orders of manual capture: held, not charged


def tenants() -> list[Tenant]:
    """Who sells; the same in every run."""
    return [
        Tenant(
            TenantId(uuid5(_NAMES, name)),
            name,
            tuple(
                Venue(VenueId(uuid5(_NAMES, f"{name}/{hall}")), hall, currency, FeePlan(percent, fixed, currency))
                for hall, currency, percent, fixed, _ in halls
            ),
        )
        for name, halls in _VENUES.items()
    ]


def event_of(venue_id: UUID | str) -> UUID:
    """The event that a venue sells, while it sells one."""
    return uuid5(_NAMES, f"event/{venue_id}")


@dataclass(frozen=True, slots=True)
class Habits:
    """How buyers pay, and how venues sell. `orders_per_event`: then each venue sells its next event; 0 is never."""

    cards: Mapping[str, int] = field(default_factory=lambda: CARDS)
    held_per_thousand: int = _HELD_PER_THOUSAND
    orders_per_event: int = 0


def publications(*, orders: int, seed: int, run: str, habits: Habits = Habits()) -> Iterator[Publication]:
    """`orders` good orders in their order, with duplicates and poison strewn among them."""
    chance = Random(seed)  # noqa: S311  seeded, not a secret
    earlier: list[bytes] = []
    for number in range(orders):
        data = _order(chance, f"{run}/{number}", habits)
        if habits.orders_per_event:
            data["event_id"] = str(uuid5(_NAMES, f"event/{run}/{data['venue_id']}/{number // habits.orders_per_event}"))
        placed = events.order(data)
        earlier.append(placed.body)
        yield placed
        if chance.randrange(1000) < _DUPLICATES_PER_THOUSAND:
            yield Publication(chance.choice(earlier[-50:]), {"published": "duplicate"})
        if chance.randrange(1000) < _POISON_PER_THOUSAND:
            yield _poison(chance, data, f"{run}/poison/{number}")


def _order(chance: Random, key: str, habits: Habits) -> dict[str, Any]:
    tenant = chance.choice(tenants())
    place = chance.randrange(len(tenant.venues))
    venue, price = tenant.venues[place], _VENUES[tenant.name][place][4]
    size = chance.choices(list(_GROUP_SIZES), list(_GROUP_SIZES.values()))[0]
    row = chance.choice("ABCDEFGH")
    data: dict[str, Any] = {
        "order_id": str(uuid5(_NAMES, f"order/{key}")),
        "tenant_id": str(tenant.tenant_id),
        "venue_id": str(venue.venue_id),
        "event_id": str(event_of(venue.venue_id)),
        "buyer_id": f"buyer-{chance.randrange(100_000)}",
        "tickets": [
            {
                "ticket_id": str(uuid5(_NAMES, f"ticket/{key}/{seat}")),
                "face_price_minor": price,
                "seat": f"{row}{seat + 1}",
            }
            for seat in range(size)
        ],
        "amount": {"minor": price * size, "currency": venue.currency},
        "payment_method_id": chance.choices(list(habits.cards), list(habits.cards.values()))[0],
        "capture": "manual" if chance.randrange(1000) < habits.held_per_thousand else "automatic",
        "idempotency_key": f"click-{uuid5(_NAMES, f'click/{key}')}",
        "device": {"ip": f"203.0.113.{chance.randrange(1, 255)}", "fingerprint": f"device-{chance.randrange(50_000)}"},
    }
    return data | _wallet(data["buyer_id"])


def _wallet(buyer: str) -> dict[str, str]:
    """Two buyers of three have a wallet of their own; the others leave their tokens with the venue."""
    digest = keccak256(buyer.encode())
    return {"wallet": checksummed("0x" + digest[-20:].hex())} if digest[0] % 3 else {}


def _poison(chance: Random, good: dict[str, Any], key: str) -> Publication:
    """An event nobody can accept; each kind must end as a dead letter with its reason."""
    fresh = good | {"order_id": str(uuid5(_NAMES, key)), "idempotency_key": key}

    def event(data: dict[str, Any], **changes: Any) -> bytes:
        return events.event(OrderPlaced.event_type, data, changes.pop("id", f"evt-{data['order_id']}"), **changes)

    body = chance.choice(
        [
            b"this is no JSON {" + key.encode(),
            event(fresh | {"tenant_id": str(uuid5(_NAMES, "nobody"))}),
            event(fresh | {"amount": {"minor": 1, "currency": good["amount"]["currency"]}}),
            event(fresh, dataschema=dataschema(OrderPlaced.event_type, 99)),
            event(fresh, padding="x" * (1024 * 1024)),
            event(good | {"buyer_id": "somebody else"}, id=key),  # the id of an order we took, with another body
        ]
    )
    return Publication(body, {"published": "poison", "sha256": sha256(body).hexdigest()})
