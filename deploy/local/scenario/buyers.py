"""What buyers ask for once they have paid: money back, whole or in part, for a ticket, or the order is cancelled.

What is asked for is decided by the seed and the order's number, not by when its payment succeeded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from random import Random
from typing import Any, Self, TypeVar

from deploy.local.scenario.events import Publication, placed, request
from messages.orders import OrderCancelled, RefundOfOrderRequested

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RequestRates:
    """Of a thousand paid orders: refunded whole, one ticket, in part (some of them twice), cancelled.

    `held_cancelled`: of a hundred orders whose amount is held. `half_late`: every second request waits for
    `late_requests`, so that it comes when the shares have been paid.
    """

    whole: int = 50
    ticket: int = 50
    part: int = 40
    cancelled: int = 30
    held_cancelled: int = 0
    half_late: bool = False


@dataclass(frozen=True, slots=True)
class PaymentNotice:
    """A payment that succeeded, or whose amount is held; `number` is its order's in the sale."""

    number: int
    tenant_id: str
    payment_id: str
    minor: int
    currency: str
    held: bool


class Buyers:
    """Receives the published events in one thread; the requests that follow are taken in another."""

    def __init__(self, seed: int, sale: Iterable[Publication], rates: RequestRates = RequestRates()) -> None:
        self._seed, self._rates = seed, rates
        self._orders = {
            data["order_id"]: (number, [ticket["ticket_id"] for ticket in data["tickets"]])
            for number, data in enumerate(placed(sale))
        }
        self._requests: SimpleQueue[Publication] = SimpleQueue()
        self._late: SimpleQueue[Publication] = SimpleQueue()
        self._notices: SimpleQueue[PaymentNotice] = SimpleQueue()

    @classmethod
    def none(cls) -> Self:
        """Nobody asks for anything."""
        return cls(0, ())

    def next_request(self) -> Publication | None:
        return _next(self._requests)

    def requests(self) -> list[Publication]:
        """All since the last time."""
        return list(iter(self.next_request, None))

    def late_requests(self) -> list[Publication]:
        """All that was put off so far."""
        return [self._late.get_nowait() for _ in range(self._late.qsize())]

    def next_notice(self) -> PaymentNotice | None:
        """What the back office has not looked at yet; the same payment may come twice."""
        return _next(self._notices)

    def receive(self, event: dict[str, Any]) -> None:
        data = event["data"]
        if event["type"] not in {"payment.succeeded", "payment.authorized"} or data["order_id"] not in self._orders:
            return
        number, held = self._orders[data["order_id"]][0], event["type"] == "payment.authorized"
        amount = data["amount"]
        self._notices.put(
            PaymentNotice(number, data["tenant_id"], data["payment_id"], amount["minor"], amount["currency"], held)
        )
        late = self._rates.half_late and self._chance("late", number).randrange(2)
        for publication in self._of_held(data, number) if held else self._of_paid(data, number):
            (self._late if late else self._requests).put(publication)

    def _of_held(self, data: dict[str, Any], number: int) -> list[Publication]:
        if self._chance(number, "held").randrange(100) >= self._rates.held_cancelled:
            return []
        return [request(OrderCancelled.event_type, _order_of(data), number)]

    def _of_paid(self, data: dict[str, Any], number: int) -> list[Publication]:
        chance, rates, order = self._chance(number), self._rates, _order_of(data)
        throw = chance.randrange(1000)
        if throw < rates.whole:
            return [request(RefundOfOrderRequested.event_type, order, number)]
        if (throw := throw - rates.whole) < rates.ticket:
            tickets = self._orders[data["order_id"]][1]
            return [request(RefundOfOrderRequested.event_type, order | {"ticket_ids": tickets[:1]}, number)]
        if (throw := throw - rates.ticket) < rates.part:
            part = {"minor": max(1, data["amount"]["minor"] // 7), "currency": data["amount"]["currency"]}
            asked = order | {"amount": part}
            times = 1 + chance.randrange(2)
            return [request(RefundOfOrderRequested.event_type, asked, f"{number}.{n}") for n in range(times)]
        if throw - rates.part < rates.cancelled:
            return [request(OrderCancelled.event_type, order, number)]
        return []

    def _chance(self, *objects: object) -> Random:
        return Random("/".join(map(str, (self._seed, *objects))))  # noqa: S311  seeded, not a secret


def _order_of(data: dict[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in ("order_id", "tenant_id")}


def _next(queue: SimpleQueue[T]) -> T | None:
    try:
        return queue.get_nowait()
    except Empty:
        return None
