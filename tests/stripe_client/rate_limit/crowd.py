"""Many threads that want the same budget of requests, and what each of them got."""

import heapq
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import uuid4

from messages.ids import OrderId, PaymentId, TenantId
from messages.money import Money
from messages.runtime.priority import Urgency, asking_for
from messages.verdicts import TryAgain, TryLater
from stripe_client import payment_intents
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Charged
from stripe_client.rate_limit.limiter import NoPermitError

THREADS = 8


LIMIT = 25.0


@dataclass(frozen=True)
class Wish:
    """A charge, or what must go first (also made as a charge: the limiter cannot tell)."""

    tenant_id: TenantId
    urgency: Urgency = Urgency.NORMAL


@dataclass
class Crowd:
    """Workers without a queue: threads take the next wish that is due; who is sent back comes again at its time."""

    gateways: list[Gateway]
    started: float = field(default_factory=time.monotonic)
    done_after: dict[TenantId, list[float]] = field(default_factory=dict)
    first_done_after: list[float] = field(default_factory=list)
    limited: int = 0
    sent_back: int = 0
    _due: list[tuple[float, int, Wish]] = field(default_factory=list)
    _left: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, wishes: list[Wish]) -> None:
        """Until every wish has been granted."""
        self._due = [(0.0, number, wish) for number, wish in enumerate(wishes)]
        self._left = len(wishes)
        with ThreadPoolExecutor(THREADS * len(self.gateways)) as pool:
            threads = [pool.submit(self._work, gateway) for gateway in self.gateways for _ in range(THREADS)]
        for thread in threads:
            thread.result()

    def _work(self, gateway: Gateway) -> None:
        while self._left:
            with self._lock:
                is_due = self._due and self._due[0][0] <= time.monotonic()
                taken = heapq.heappop(self._due) if is_due else None
            if taken is None:
                time.sleep(0.01)
                continue
            _, number, wish = taken
            try:
                with asking_for(wish.tenant_id, wish.urgency):
                    charge(gateway)
            except (TryLater, TryAgain) as verdict:
                self._again(number, wish, verdict)
            else:
                self._note(wish)

    def _again(self, number: int, wish: Wish, verdict: TryLater | TryAgain) -> None:
        with self._lock:
            self.sent_back += isinstance(verdict, NoPermitError)
            self.limited += "rate limited" in verdict.reason
            seconds = verdict.seconds if isinstance(verdict, TryLater) else 0.2
            heapq.heappush(self._due, (time.monotonic() + seconds, number, wish))

    def _note(self, wish: Wish) -> None:
        after = time.monotonic() - self.started
        with self._lock:
            self._left -= 1
            self.done_after.setdefault(wish.tenant_id, []).append(after)
            if wish.urgency is Urgency.FIRST:
                self.first_done_after.append(after)


def charge(gateway: Gateway) -> None:
    gateway.reserve(payment_intents.FAMILY)
    body = payment_intents.creation(
        tenant_id=TenantId(uuid4()),
        order_id=OrderId(uuid4()),
        payment_id=PaymentId(uuid4()),
        amount=Money(4200, "eur"),
        payment_method_id="pm_card_visa",
        customer_id=None,
        capture="automatic",
    )
    made = payment_intents.create(gateway, body, idempotency_key=uuid4().hex, send_before=time.monotonic() + 60)
    assert isinstance(made, Charged)
