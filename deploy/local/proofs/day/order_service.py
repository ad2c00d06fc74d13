"""The order service of the day: once a buyer has paid, some want money back, some orders are cancelled.

What it asks for is decided by the seed and the order's number, not by when its payment succeeded.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random
from typing import Any

from deploy.local.proofs.demo.order_service import OrderService
from deploy.local.proofs.demo.sale import Publication
from deploy.local.stripe.control import EmulatorControl
from messages.base import dataschema
from messages.orders import OrderCancelled, RefundOfOrderRequested

SOURCE = "/order-service"


@dataclass(frozen=True, slots=True)
class Wishes:
    """Of a thousand paid orders: wholly back, one ticket back, a part back (twice, for some), cancelled."""

    whole: int = 50
    ticket: int = 50
    part: int = 40
    cancelled: int = 30


class DayOrderService(OrderService):
    """`tickets` says of each order, by id, its number and the ids of its tickets."""

    def __init__(
        self,
        url: str,
        log: Path,
        control: EmulatorControl,
        seed: int,
        tickets: Mapping[str, tuple[int, list[str]]],
        wishes: Wishes = Wishes(),
    ) -> None:
        super().__init__(url, log, control, seed)
        self._often = wishes
        self._day_seed = seed
        self._tickets = tickets
        self._wanted: SimpleQueue[Publication] = SimpleQueue()

    def next_wish(self) -> Publication | None:
        """What was asked for and not handed out yet; publish it."""
        try:
            return self._wanted.get_nowait()
        except Empty:
            return None

    def wishes(self) -> list[Publication]:
        """All that was asked for since the last time."""
        return list(iter(self.next_wish, None))

    def _hear(self, event: dict[str, Any]) -> None:
        super()._hear(event)
        if event["type"] == "payment.succeeded":
            for publication in self._wishes_of(event["data"]):
                self._wanted.put(publication)

    def _wishes_of(self, paid: dict[str, Any]) -> list[Publication]:
        order_id = paid["order_id"]
        if order_id not in self._tickets:
            return []
        number, tickets = self._tickets[order_id]
        chance = Random(f"{self._day_seed}/{number}")  # noqa: S311  a story from a seed, not a secret
        throw = chance.randrange(1000)
        whose = {"order_id": order_id, "tenant_id": paid["tenant_id"]}
        often = self._often
        if throw < often.whole:
            return [wish(RefundOfOrderRequested.event_type, whose, number)]
        if throw < often.whole + often.ticket:
            return [wish(RefundOfOrderRequested.event_type, whose | {"ticket_ids": tickets[:1]}, number)]
        if throw < often.whole + often.ticket + often.part:
            part = {"minor": max(1, paid["amount"]["minor"] // 7), "currency": paid["amount"]["currency"]}
            times = 1 + chance.randrange(2)
            return [
                wish(RefundOfOrderRequested.event_type, whose | {"amount": part}, f"{number}.{n}") for n in range(times)
            ]
        if throw < often.whole + often.ticket + often.part + often.cancelled:
            return [wish(OrderCancelled.event_type, whose, number)]
        return []


def tickets_of(story: list[Publication]) -> dict[str, tuple[int, list[str]]]:
    """Order id -> its number in the story, and its tickets."""
    placed = [
        json.loads(publication.body)["data"] for publication in story if publication.log.get("published") == "order"
    ]
    return {
        data["order_id"]: (number, [ticket["ticket_id"] for ticket in data["tickets"]])
        for number, data in enumerate(placed)
    }


def wish(kind: str, data: dict[str, Any], name: object) -> Publication:
    event_id = f"wish-{data['order_id']}-{name}"
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "dataschema": dataschema(kind, 1),
        "data": data,
    }
    log = {"published": "wish", "key": f"{SOURCE}#{event_id}", "order_id": data["order_id"]}
    return Publication(json.dumps(event).encode(), log, routing_key=kind)
