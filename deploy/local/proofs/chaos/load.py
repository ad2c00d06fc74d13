"""What goes on during every fault: the on-sale, buyers who want money back, the back office on the API, and Stripe.

Seeded, steady, and paused only while the checker looks. The sale lasts for as long as cases are played, and for as many
orders as were asked for at least: a slow machine must not find it over before the last fault. Orders and requests are
published in one line from one thread; the back office and Stripe act beside it from another, because an answer of the
API may take its time.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count

from urllib3.exceptions import HTTPError

from deploy.local.scenario.back_office import BackOffice
from deploy.local.scenario.buyers import RequestRates
from deploy.local.scenario.events import Publication
from deploy.local.scenario.order_service import OrderService
from deploy.local.scenario.orders import CARDS, Habits
from deploy.local.scenario.stripe_side import StripeRates, StripeSide

# Far more than in a good week, so that every fault meets refunds, captures and cancellations within seconds.
REQUESTS = RequestRates(whole=100, ticket=100, part=80, cancelled=60, held_cancelled=8)
AT_STRIPE = StripeRates(in_dashboard=25, disputed=12, inquired=5, warned=5, most_open=3)
HABITS = Habits(
    cards=CARDS | {"pm_card_pendingRefund": 40, "pm_card_refundFail": 10, "pm_card_createDispute": 6},
    held_per_thousand=150,
    orders_per_event=60,
)
LOOK_SECONDS = 0.2


class Load:
    """Works between `begin` and `pause`; the sale goes on where it was paused."""

    def __init__(
        self,
        service: OrderService,
        office: BackOffice,
        stripe_side: StripeSide,
        sale: Iterator[Publication],
        *,
        rate: float,
        at_least: int,
    ) -> None:
        self.service, self.office, self.stripe_side = service, office, stripe_side
        self.rate = rate
        self.trouble: BaseException | None = None
        self._sale = sale
        self._wanted = at_least
        self._closing = False
        self._pausing = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def published(self) -> int:
        return self.service.published

    def begin(self, rate: float | None = None) -> None:
        assert not self._threads, "it goes on already"
        self._pausing.clear()
        self._threads = [
            threading.Thread(target=self._kept, args=(lambda: self._publish(rate or self.rate),), name="on-sale"),
            threading.Thread(target=self._kept, args=(self._give_back,), name="back-office"),
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def pause(self) -> None:
        """Returns when everything handed out has been confirmed by the broker, and nobody waits for an answer."""
        self._pausing.set()
        self._join()

    def finish(self) -> None:
        """Go on until as much was sold as was asked for."""
        self._closing = True
        self._join()

    def _join(self) -> None:
        for number, thread in enumerate(self._threads):
            thread.join()
            if number == 0:  # the sale is over or paused, and so the others stop
                self._pausing.set()
        self._threads = []
        if self.trouble is not None:
            raise self.trouble

    def _kept(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again where the thread is joined
            self.trouble = error

    def _publish(self, rate: float) -> None:
        for _ in self.service.publish(self._until_paused(), rate=rate):
            pass

    def _until_paused(self) -> Iterator[Publication]:
        """What buyers want back goes before the next order."""
        for _ in count():
            if self._pausing.is_set():
                return
            publication = self.service.buyers.next_request() or self._next_of_the_sale()
            if publication is None:
                return
            yield publication

    def _next_of_the_sale(self) -> Publication | None:
        if self._closing and self._wanted <= 0:
            return None
        self._wanted -= 1
        return next(self._sale, None)

    def _give_back(self) -> None:
        while not self._pausing.wait(LOOK_SECONDS):
            while (payment := self.service.buyers.next_notice()) is not None:
                self.office.notice(payment)
            self.office.work(self._pausing)
            with suppress(HTTPError):
                self.stripe_side.act()
