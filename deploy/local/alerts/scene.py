"""The fleet that is watched: the one of `fleet chaos`, whose processes also answer for their health, in a hurry."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pika
import psycopg

from db.session import Database, Tx
from deploy.local.alerts.impatience import impatient
from deploy.local.alerts.prometheus import Prometheus
from deploy.local.chaos.back_office import BackOffice
from deploy.local.chaos.fleet import EMULATOR, Fleet
from deploy.local.demo import sale
from deploy.local.demo.order_service import OrderService
from deploy.local.demo.sale import Habits, Publication
from deploy.local.stack import CLONE
from deploy.local.up import health_of

DIRECTORY = CLONE / ".local" / "alerts"
HURRY = {
    "COLLECT_SECONDS": "1",
    "COLLECT_LEDGER_SECONDS": "1",
    "SLO_PAYMENT_SECONDS": "5",
    "SLO_REFUND_SECONDS": "5",
    "SWEEP_AFTER_SECONDS": "300",  # or the sweep repairs what is provoked
}
FIRES_SECONDS = 60.0


class WatchedFleet(Fleet):
    def environment(self, name: str) -> dict[str, str]:
        own = super().environment(name)
        if name == EMULATOR:
            return {**own, "STRIPE_EMULATOR_REFUND_SECONDS": "1"}
        return {**own, **HURRY, **health_of(self.stack, name)}

    def targets(self) -> dict[str, list[int]]:
        """Job -> ports, as prometheus.yaml names them."""
        found: dict[str, list[int]] = {}
        for name in self.names:
            found.setdefault(name.partition(".")[0], []).append(self.stack.memory.port(f"health_{name}"))
        return found


@dataclass
class Scene:
    """What a provocation has at hand. `fired`: alert -> what it said when it fired for the first time."""

    fleet: WatchedFleet
    prometheus: Prometheus
    service: OrderService
    db: Database
    fired: dict[str, str] = field(default_factory=dict)
    _orders: Iterator[Publication] = field(init=False)

    def __post_init__(self) -> None:
        cards = Habits(cards={"pm_card_visa": 1})
        story = sale.publications(orders=1_000_000, seed=11, run=f"alerts-{time.time()}", habits=cards)
        self._orders = (each for each in story if each.log["published"] == "order")
        self.control = self.fleet.control()
        self.office = BackOffice(self.fleet.intake, self.fleet.stack.environment(), seed=11)

    def order(self, count: int) -> None:
        self.service.publish_now(list(itertools.islice(self._orders, count)))

    def order_held(self) -> None:
        """One whose amount is held and not captured."""
        self.service.publish_now([next(each for each in self._orders if b'"capture": "manual"' in each.body)])

    def owner(self, statement: str) -> None:
        """As the owner of the schema, for what time would bring."""
        with psycopg.connect(self.fleet.stack.postgres.migration_url, autocommit=True) as connection:
            connection.execute(statement)

    def superuser(self, statement: str) -> None:
        """As somebody who can get past every trigger of ours."""
        with psycopg.connect(self.fleet.stack.postgres.superuser_url(), autocommit=True) as connection:
            connection.execute(statement)

    @contextmanager
    def system(self) -> Iterator[Tx]:
        with self.db.system_transaction() as tx:
            yield tx

    def put(self, queue: str, body: bytes) -> None:
        with pika.BlockingConnection(pika.URLParameters(self.fleet.stack.rabbitmq.url)) as connection:
            connection.channel().basic_publish("", queue, body)

    def look(self) -> set[str]:
        """The alerts that fire now; each is noted when it does for the first time."""
        now = self.prometheus.firing()
        for alert, words in now.items():
            self.fired.setdefault(alert, words[0])
        return set(now)

    def wait_for(self, alerts: set[str], meanwhile: Callable[[], Any] = lambda: None) -> set[str]:
        """Until all of them have fired at once or one after another, or the time is up; returns those that did not."""
        missing, deadline = set(alerts), time.monotonic() + FIRES_SECONDS
        while missing and time.monotonic() < deadline:
            meanwhile()
            missing -= self.look()
            time.sleep(0.5)
        return missing

    def wait_until_quiet(self, seconds: float = 90.0) -> set[str]:
        """Until none fires, or the time is up; returns those that still do."""
        deadline = time.monotonic() + seconds
        while (firing := self.look()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return firing


def prometheus_for(fleet: WatchedFleet, directory: Path) -> Prometheus:
    return Prometheus(directory, fleet.stack.memory, fleet.targets(), impatient())
