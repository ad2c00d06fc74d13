"""What follows a sale for whoever shares in it: when events end, and tickets that are sold again. From a seed."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4, uuid5

from deploy.local.scenario import orders
from deploy.local.scenario.events import Publication, order, placed, publication
from deploy.local.scenario.recipients import ESCROW, NAMES, Recipients
from messages.orders import EventScheduled
from messages.resales import OrderResold

# Cards that pay, above all: what is not charged has no shares.
CARDS = {
    "pm_card_visa": 800,
    "pm_card_mastercard": 140,
    "pm_card_visa_chargeDeclined": 20,
    "pm_card_pendingRefund": 40,
}
# What a ticket is sold again for, in percent of its face.
_PRICES = (80, 100, 100, 110, 125)


def schedule(recipients: Recipients) -> list[Publication]:
    """When the events of venues with escrow are over: some are, and their shares go on; others are not, and wait."""
    publications = []
    for tenant in recipients.tenants:
        for venue in tenant.venues:
            if venue.name in ESCROW:
                data = {
                    "event_id": str(orders.event_of(venue.venue_id)),
                    "venue_id": str(venue.venue_id),
                    "tenant_id": str(tenant.tenant_id),
                    "ends_at": (datetime.now(UTC) + timedelta(days=ESCROW[venue.name])).isoformat(),
                }
                publications.append(publication(EventScheduled.event_type, data, f"scheduled-{uuid4()}", {}))
    return publications


def primary(*, sales: int, seed: int, run: str) -> list[Publication]:
    """A sale to cards that pay."""
    return list(orders.publications(orders=sales, seed=seed, run=run, habits=orders.Habits(CARDS, held_per_thousand=0)))


def resales(
    first: Iterable[Publication], recipients: Recipients, *, resales: int, seed: int, run: str
) -> list[Publication]:
    """`resales` of the tickets of earlier orders, one ticket each, by sellers."""
    chance = Random(f"{seed}/resales")  # noqa: S311  seeded, not a secret
    sold = placed(first)
    return [_resale(chance, chance.choice(sold), recipients, f"{run}/{number}") for number in range(resales)]


def _resale(chance: Random, sold: dict[str, Any], recipients: Recipients, key: str) -> Publication:
    ticket = chance.choice(sold["tickets"])
    price = max(1, ticket["face_price_minor"] * chance.choice(_PRICES) // 100)
    order_id = str(uuid5(NAMES, f"resale/{key}"))
    data = sold | {
        "order_id": order_id,
        "buyer_id": f"buyer-{chance.randrange(100_000)}",
        "tickets": [ticket | {"price_minor": price}],
        "amount": {"minor": price, "currency": sold["amount"]["currency"]},
        "payment_method_id": chance.choices(list(CARDS), list(CARDS.values()))[0],
        "idempotency_key": f"resale-{uuid5(NAMES, key)}",
        "seller": chance.choice(recipients.sellers).as_seller(),
    }
    return order(data, OrderResold.event_type)
