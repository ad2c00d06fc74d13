"""Sales and resales from a seed, and what buyers want back of them: some at once, some when everybody has been paid."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from random import Random
from typing import Any
from uuid import uuid4, uuid5

from deploy.local.proofs.day.order_service import DayOrderService, Wishes
from deploy.local.proofs.demo import sale
from deploy.local.proofs.demo.sale import Publication
from deploy.local.proofs.shares.market import ESCROW, NAMES, Market
from deploy.local.stripe.control import EmulatorControl
from messages.base import dataschema
from messages.orders import EventScheduled
from messages.resales import OrderResold

# Cards that pay, above all: what is not charged has no shares.
CARDS = {
    "pm_card_visa": 800,
    "pm_card_mastercard": 140,
    "pm_card_visa_chargeDeclined": 20,
    "pm_card_pendingRefund": 40,
}
WISHES = Wishes(whole=90, ticket=60, part=60, cancelled=40)
# What a ticket is sold again for, in percent of its face.
_PRICES = (80, 100, 100, 110, 125)


def schedule(market: Market) -> list[Publication]:
    """When the events of venues with escrow are over: some are, and their shares go on; others are not, and wait."""
    told = []
    for tenant in market.tenants:
        for venue in tenant.venues:
            if venue.name in ESCROW:
                data = {
                    "event_id": str(sale.event_of(venue.venue_id)),
                    "venue_id": str(venue.venue_id),
                    "tenant_id": str(tenant.tenant_id),
                    "ends_at": (datetime.now(UTC) + timedelta(days=ESCROW[venue.name])).isoformat(),
                }
                told.append(publication(EventScheduled.event_type, data, f"scheduled-{uuid4()}", {}))
    return told


def primary(*, sales: int, seed: int, run: str) -> list[Publication]:
    return list(sale.publications(orders=sales, seed=seed, run=run, habits=sale.Habits(CARDS, held_per_thousand=0)))


def resales(first: Iterable[Publication], market: Market, *, resales: int, seed: int, run: str) -> list[Publication]:
    """`resales` of the tickets of earlier orders, one ticket each, by people of the market."""
    chance = Random(f"{seed}/resales")  # noqa: S311  a story from a seed, not a secret
    sold = [json.loads(one.body)["data"] for one in first if one.log.get("published") == "order"]
    return [_resale(chance, chance.choice(sold), market, f"{run}/{number}") for number in range(resales)]


def _resale(chance: Random, sold: dict[str, Any], market: Market, key: str) -> Publication:
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
        "seller": chance.choice(market.sellers).as_word(),
    }
    log = {"published": "order", "order_id": order_id}
    return publication(OrderResold.event_type, data, f"evt-{order_id}", log)


def publication(kind: str, data: dict[str, Any], event_id: str, log: dict[str, str]) -> Publication:
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/order-service",
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "dataschema": dataschema(kind, 1),
        "data": data,
    }
    return Publication(json.dumps(event).encode(), log, routing_key=kind)


class ShareOrderService(DayOrderService):
    """Half of what buyers want back they want only when the shares have reached everybody: see `late_wishes`."""

    def __init__(
        self, url: str, log: Path, control: EmulatorControl, seed: int, tickets: Mapping[str, tuple[int, list[str]]]
    ) -> None:
        super().__init__(url, log, control, seed, tickets, WISHES)
        self._later: SimpleQueue[Publication] = SimpleQueue()

    def late_wishes(self) -> list[Publication]:
        """All that was put off so far; publish it."""
        return [self._later.get_nowait() for _ in range(self._later.qsize())]

    def _wishes_of(self, paid: dict[str, Any]) -> list[Publication]:
        publications = super()._wishes_of(paid)
        late = Random(f"late/{paid['order_id']}").randrange(2)  # noqa: S311  a story, not a secret
        if not late:
            return publications
        for one in publications:
            self._later.put(one)
        return []
