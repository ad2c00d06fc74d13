"""The order service under chaos: buyers want a lot of money back, and the back office hears what is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random
from typing import Any

from deploy.local.proofs.day.order_service import DayOrderService, Wishes, wish
from deploy.local.proofs.demo.sale import CARDS, Habits
from deploy.local.stripe.control import EmulatorControl
from messages.orders import OrderCancelled

# Far more than in a good week, so that every fault meets refunds, captures and cancellations within seconds.
WISHES = Wishes(whole=100, ticket=100, part=80, cancelled=60)
HABITS = Habits(
    cards=CARDS | {"pm_card_pendingRefund": 40, "pm_card_refundFail": 10, "pm_card_createDispute": 6},
    held_per_thousand=150,
    night=60,
)
_CALLED_OFF = 8  # of a hundred orders whose amount is held: cancelled by the order service itself


@dataclass(frozen=True, slots=True)
class Told:
    """A payment that succeeded, or whose amount is held; `number` is its order's in the story."""

    number: int
    tenant_id: str
    payment_id: str
    minor: int
    currency: str
    held: bool


class ChaosOrderService(DayOrderService):
    def __init__(
        self,
        url: str,
        log: Path,
        control: EmulatorControl,
        seed: int,
        tickets: Mapping[str, tuple[int, list[str]]],
    ) -> None:
        super().__init__(url, log, control, seed, tickets, WISHES)
        self._seed = seed
        self._told: SimpleQueue[Told] = SimpleQueue()

    def next_told(self) -> Told | None:
        """What the back office has not looked at yet; the same payment may be told twice."""
        try:
            return self._told.get_nowait()
        except Empty:
            return None

    def _hear(self, event: dict[str, Any]) -> None:
        super()._hear(event)
        data = event["data"]
        if event["type"] not in {"payment.succeeded", "payment.authorized"} or data["order_id"] not in self._tickets:
            return
        number, held = self._tickets[data["order_id"]][0], event["type"] == "payment.authorized"
        if held and Random(f"{self._seed}/{number}/held").randrange(100) < _CALLED_OFF:  # noqa: S311  a story from a seed
            whose = {"order_id": data["order_id"], "tenant_id": data["tenant_id"]}
            self._wanted.put(wish(OrderCancelled.event_type, whose, number))
        amount = data["amount"]
        self._told.put(Told(number, data["tenant_id"], data["payment_id"], amount["minor"], amount["currency"], held))
