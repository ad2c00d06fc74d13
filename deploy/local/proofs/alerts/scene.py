"""The fleet that is watched: the one of `fleet chaos`, whose processes also answer for their health, in a hurry."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import pika
import psycopg
import urllib3

from db.session import Database, Tx
from deploy.local.proofs.alerts.alertmanager import Alertmanager
from deploy.local.proofs.alerts.prometheus import Prometheus
from deploy.local.scenario import orders
from deploy.local.scenario.back_office import BackOffice
from deploy.local.scenario.events import Publication
from deploy.local.scenario.fleet import EMULATOR, Fleet
from deploy.local.scenario.order_service import OrderService
from deploy.local.stack.stack import CLONE
from deploy.local.stack.up import health_of

DIRECTORY = CLONE / ".local" / "alerts"
HURRY = {
    "COLLECT_SECONDS": "1",
    "COLLECT_LEDGER_SECONDS": "1",
    "SLO_PAYMENT_SECONDS": "5",
    "SLO_REFUND_SECONDS": "5",
    "SWEEP_AFTER_SECONDS": "300",  # or the sweep repairs what is provoked
    "RECEIVABLE_LIMIT_MINOR": "100",  # of one sale, not of a hundred
}
FIRES_SECONDS = 60.0
LOOK_SECONDS = 0.5
DELIVERED_SECONDS = 45.0  # a ticket is delivered half a minute after it fires


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
    alertmanager: Alertmanager
    service: OrderService
    db: Database
    fired: dict[str, str] = field(default_factory=dict)
    _orders: Iterator[Publication] = field(init=False)

    def __post_init__(self) -> None:
        cards = orders.Habits(cards={"pm_card_visa": 1})
        sale = orders.publications(orders=1_000_000, seed=11, run=f"alerts-{time.time()}", habits=cards)
        self._orders = (each for each in sale if each.log["published"] == "order")
        self.control = self.fleet.control()
        self.office = BackOffice(self.fleet.intake, self.fleet.stack.environment(), seed=11)

    def order(self, count: int) -> None:
        self.service.publish_now(list(itertools.islice(self._orders, count)))

    def order_held(self) -> None:
        """One whose amount is held and not captured."""
        self._order_like('"capture": "manual"', 1)

    def order_at(self, venue: str, count: int) -> None:
        ids = {each.name: each.venue_id for tenant in orders.tenants() for each in tenant.venues}
        self._order_like(f'"venue_id": "{ids[venue]}"', count)

    def _order_like(self, words: str, count: int) -> None:
        alike = (each for each in self._orders if words.encode() in each.body)
        self.service.publish_now(list(itertools.islice(alike, count)))

    def stripe(self, path: str, form: str) -> None:
        """As somebody who has our key and works past the fleet."""
        environment = self.fleet.stack.environment()
        answer = urllib3.request(
            "POST",
            f"{environment['STRIPE_API_BASE']}/v1{path}",
            body=form,
            headers={
                "authorization": f"Bearer {environment['STRIPE_SECRET_KEY']}",
                "stripe-version": "2026-10-28.endive",
                "content-type": "application/x-www-form-urlencoded",
            },
        )
        assert answer.status == 200, json.loads(answer.data)

    def owner(self, statement: str) -> None:
        """As the owner of the schema, for what time would bring."""
        with psycopg.connect(self.fleet.stack.postgres.migration_url, autocommit=True) as connection:
            connection.execute(statement)

    def superuser(self, statement: str) -> None:
        """As somebody who can get past every trigger of ours."""
        with psycopg.connect(self.fleet.stack.postgres.superuser_url(), autocommit=True) as connection:
            connection.execute(statement)

    def past_the_guards(self, statement: str) -> None:
        """What no trigger of ours would let anybody do: a time is moved."""
        self.superuser("SET session_replication_role = replica; " + statement)

    @contextmanager
    def system(self) -> Iterator[Tx]:
        with self.db.system_transaction() as tx:
            yield tx

    def put(self, queue: str, body: bytes) -> None:
        with pika.BlockingConnection(pika.URLParameters(self.fleet.stack.rabbitmq.url)) as connection:
            connection.channel().basic_publish("", queue, body)

    def rows(self, query: LiteralString, *words: Any) -> list[tuple[Any, ...]]:
        with self.system() as tx:
            return tx.execute(query, words or None).fetchall()

    def one(self, query: LiteralString, *words: Any) -> Any:
        """The first column of the first row, which must be there."""
        return self.rows(query, *words)[0][0]

    def wait_row(self, query: LiteralString, *words: Any) -> tuple[Any, ...]:
        found: list[tuple[Any, ...]] = self.wait_until(lambda: self.rows(query, *words), query)
        return found[0]

    def wait_one(self, query: LiteralString, *words: Any) -> Any:
        return self.wait_row(query, *words)[0]

    def wait_until(self, look: Callable[[], Any], what: str, seconds: float = 45.0) -> Any:
        """What it sees as soon as that is anything."""
        deadline = time.monotonic() + seconds
        while not (seen := look()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds:.0f} s: {what}")
            time.sleep(LOOK_SECONDS)
        return seen

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
            time.sleep(LOOK_SECONDS)
        return missing

    def wait_for_delivery(self, alerts: set[str], meanwhile: Callable[[], Any] = lambda: None) -> dict[str, str]:
        """Where each was delivered, or by what it is silenced, as soon as that is known of all, or the time is up."""
        deadline = time.monotonic() + DELIVERED_SECONDS
        while not alerts <= self.alertmanager.whereabouts().keys() and time.monotonic() < deadline:
            meanwhile()
            time.sleep(2 * LOOK_SECONDS)  # what is provoked goes on, and need not be more
        return {alert: where for alert, where in self.alertmanager.whereabouts().items() if alert in alerts}

    def wait_until_quiet(
        self, alerts: set[str] | None = None, *, seconds: float = 90.0, lasting: float = 0.0
    ) -> set[str]:
        """Until none of them (of all) has fired for so long, or the time is up; returns those that still do."""
        started = quiet_since = time.monotonic()
        while True:
            firing = self.look() if alerts is None else self.look() & alerts
            now = time.monotonic()
            quiet_since = now if firing else quiet_since
            if (not firing and now - quiet_since >= lasting) or now - started > seconds:
                return firing
            time.sleep(LOOK_SECONDS)
