"""The whole fleet for a module of tests: the Procfile's processes, a database and a Stripe emulator of their own.

    with Fleet.of(stack, template, tmp_path) as fleet:
        fleet.arm("charge.after_call")
        fleet.publish(fleet.order(payment_method_id="pm_card_visa"))
        fleet.wait_until_quiet()
        assert fleet.verify().clean

Nothing here waits for a time to pass: every wait is for a condition. On leaving, every process it started has ended.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import orjson
import pika
import psycopg
from pika.exceptions import AMQPError
from pydantic import SecretStr

from db.ledger import hash_chain
from db.reconciliation.cases import Case
from db.session import Database
from db.settings import DatabaseSettings
from db.tenants.tenants import Tenant
from deploy.local.scenario import orders
from deploy.local.scenario.events import Publication
from deploy.local.scenario.order_service import OrderService
from deploy.local.stack.processes import MARK
from deploy.local.stack.stack import Stack
from deploy.local.stripe.process import EmulatorProcess, free_port
from messages.sweeps import SweepDue
from outbox.append import append
from outbox.broker import topology
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings
from tests import factories
from tests.journeys import rest
from tests.journeys.book import Book, new_database
from tests.journeys.processes import PROCFILE, Processes
from tests.meanwhile import meanwhile
from tests.workers.reconciliation.scenario import cases_of, reconcile_now
from workers.verify.report import Report
from workers.verify.verify import OrderServiceLog, verify

# All but people's pages and the chain's process, whose own tests run them (tests/outbox/ops/console,
# tests/workers/minting).
NEEDED = sorted(PROCFILE.keys() - {"console", "minter"})
AS_FAST_AS_IT_GOES = 1e9
_STRIPE_KEY = "sk_test_journeys12345"
_WEBHOOK_SECRET = "whsec_journeys0123456789abcdef"
_CONNECT_SECRET = "whsec_connect0123456789abcdef"
_WEBHOOK_RETRIES = "0.2,0.4,0.8" + ",1" * 60


class Fleet(Processes, Book):
    """Its processes, its book, and the two it talks to: the order service and Stripe."""

    def __init__(
        self, stack: Stack, database: str, directory: Path, settings: Mapping[str, str], database_port: int
    ) -> None:
        Processes.__init__(self, directory)
        Book.__init__(self, stack.postgres, database)
        self.stack = stack
        self.tenants = {tenant.name: tenant for tenant in orders.tenants()}
        self._database_port = database_port
        self._settings = settings
        self._log = directory / "orders.jsonl"
        self._http_port, self._stripe_port, self._control_port = free_port(), free_port(), free_port()

    @classmethod
    @contextmanager
    def of(
        cls,
        stack: Stack,
        template: str,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        database_port: int | None = None,
    ) -> Iterator[Self]:
        """Everything started and empty. `settings` are added to the environment of all processes; `database_port` is
        where they reach the database, when that is not the server itself.
        """
        _start_what_is_down(stack)
        with ExitStack() as leaving:
            database = leaving.enter_context(new_database(stack.postgres, template))
            fleet = cls(stack, database, directory, settings or {}, database_port or stack.postgres.port)
            leaving.callback(fleet.end_all)
            fleet._begin(leaving)
            yield fleet

    def _begin(self, leaving: ExitStack) -> None:
        empty_queues(self.stack.rabbitmq.url)
        self.register(*self.tenants.values())
        self.start_all(NEEDED)
        self.start_emulator()
        self.control = self.emulator.control()
        self.service = leaving.enter_context(OrderService(self.stack.rabbitmq.url, self._log, None, seed=1))
        self.db = Database(self._database_settings(), application="tests")
        leaving.callback(self.db.close)
        self.gateway = Gateway(self._stripe_settings())

    def heal(self) -> None:
        """End every fault a test may have left armed, with whatever server it has left down."""
        self.disarm()
        self.control.clear_faults()
        self.control.set_clock()
        _start_what_is_down(self.stack)

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        return {
            **os.environ,
            **self.stack.environment(),
            "PATH": path,
            "APP_ENV": "staging",  # writes JSON lines, as production does
            "DATABASE_URL": self.stack.postgres.fleet_url(self.database).replace(
                f":{self.stack.postgres.port}/", f":{self._database_port}/"
            ),
            "RABBITMQ_URL": self.stack.rabbitmq.url,
            "REDIS_URL": self.stack.valkey.url,
            "STRIPE_SECRET_KEY": _STRIPE_KEY,
            "STRIPE_WEBHOOK_SECRETS": f"{_WEBHOOK_SECRET},{_CONNECT_SECRET}",
            "STRIPE_API_BASE": f"http://127.0.0.1:{self._stripe_port}",
            "INTAKE_HTTP_PORT": str(self._http_port),
            "PROMETHEUS_MULTIPROC_DIR": str(self.directory / "metrics"),
            "FLEET_CRASH_POINTS": str(self.crashes),
            **self._settings,
        }

    def start_emulator(self) -> None:
        """On the same ports and the same file: it goes on where it was."""
        options = {
            "--seed": "1",
            "--async-capture-delay-ms": "100",
            "--webhook-endpoint": f"http://127.0.0.1:{self._http_port}/webhooks/stripe",
            "--webhook-secret": _WEBHOOK_SECRET,
            "--connect-webhook-endpoint": f"http://127.0.0.1:{self._http_port}/webhooks/stripe",
            "--connect-webhook-secret": _CONNECT_SECRET,
            "--webhook-retry-seconds": _WEBHOOK_RETRIES,
            "--refunds-beyond-balance": "overdraw",
        }
        flags = [word for option in options.items() for word in option]
        self.emulator = EmulatorProcess.start(
            self.directory / "stripe.sqlite3",
            "journeys-token",
            *flags,
            port=self._stripe_port,
            control_port=self._control_port,
            environment={MARK: str(self.directory)},
        )

    # ---------------------------------------------------------------------------------------------------- orders

    def order(
        self, tenant: str | Tenant = "Rhine Arena", *, trace_id: str | None = None, **changes: Any
    ) -> Publication:
        """One order event; what matters is passed in. Its id is in `.log["order_id"]`."""
        data = factories.order(self.tenants[tenant] if isinstance(tenant, str) else tenant, **changes)
        envelope = {"traceparent": f"00-{trace_id}-{trace_id[:16]}-01"} if trace_id else {}
        return Publication(factories.event(data, **envelope), {"published": "order", "order_id": data["order_id"]})

    def orders(self, count: int, tenant: str | Tenant = "Rhine Arena", **changes: Any) -> list[Publication]:
        return [self.order(tenant, **changes) for _ in range(count)]

    def publish(self, *events: Publication, rate: float = AS_FAST_AS_IT_GOES) -> None:
        """Publish over AMQP; returns when the broker has confirmed all of them."""
        for _ in self.service.publish(events, rate=rate):
            pass

    def publish_meanwhile(self, *events: Publication, rate: float) -> AbstractContextManager[None]:
        """Publish from another thread; leaving the block waits for the last of them."""
        return meanwhile(lambda: self.publish(*events, rate=rate))

    def put(self, queue: str, *bodies: bytes) -> None:
        """Put bytes straight on a queue, past the outbox, as nobody should."""
        self.stack.rabbitmq.put(*((queue, body) for body in bodies))

    def sweep(self) -> None:
        """What the scheduler does every half minute, now."""
        with self.db.system_transaction() as tx:
            row = tx.execute("SELECT clock_timestamp()").fetchone()
            assert row is not None, "a SELECT without FROM always returns a row"
            append(tx, SweepDue(due_at=row[0]))

    # ----------------------------------------------------------------------------------------------------- truth

    def told(self) -> dict[UUID, list[str]]:
        """What the order service heard of each payment, in order, each event once."""
        return rest.told(OrderServiceLog.read(self._log))

    def verify(self) -> Report:
        return verify(self.db, self.gateway, self.stack.rabbitmq.url, OrderServiceLog.read(self._log))

    def reconcile(self) -> list[Case]:
        """Compare the bank's lines up to this second with the book, seal the ledger, and return what does not fit."""
        with psycopg.connect(self.owner_url, autocommit=True) as owner:
            reconcile_now(self.db, self.gateway, owner)
        with self.db.system_transaction() as tx:
            hash_chain.seal(tx, limit=100_000)
            assert hash_chain.walk(tx).broken is None
        return cases_of(self.db)

    def backlog(self) -> int:
        """What waits anywhere: order events, outbox rows, messages."""
        depths = topology.depths(self.stack.rabbitmq.url)
        return int(self.rows("SELECT count(*) FROM outbox")[0]["count"]) + sum(max(0, n) for n in depths.values())

    def wait_until(self, holds: Callable[[], bool], what: str, timeout: float = 60.0, poll: float = 0.03) -> None:
        """Return as soon as `holds`; a server that is away just now counts as no."""
        deadline = time.monotonic() + timeout
        while True:
            began = time.monotonic()
            with contextlib.suppress(psycopg.OperationalError, AMQPError, OSError):
                if holds():
                    return
            self.require_startable()
            assert time.monotonic() < deadline, f"after {timeout:.0f} s still not: {what}"
            time.sleep(max(poll, time.monotonic() - began))  # half of the time at most is spent with looking

    def wait_until_quiet(self, timeout: float = 120.0, *, hurry: bool = False) -> None:
        """Every order is in the book and at rest, told, and nothing is queued or on its way.

        `hurry`: the pauses between tries, minutes long when a row says so, pass at once.
        """
        moving: list[str] = ["nothing was looked at yet"]

        def quiet() -> bool:
            if hurry:
                self.hurry()
            moving[:] = self.moving()
            return not moving

        try:
            self.wait_until(quiet, "quiet", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; {'; '.join(moving)}") from None

    def moving(self) -> list[str]:
        """What is not at rest, in words."""
        asked = OrderServiceLog.read(self._log)  # before the book: what was asked for meanwhile is not missed there
        with self.owner() as owner:
            return rest.moving(asked, owner, self.control, self.stack.rabbitmq.url)

    def _database_settings(self) -> DatabaseSettings:
        url = SecretStr(self.stack.postgres.fleet_url(self.database))
        return DatabaseSettings(app_env="test", database_url=url)  # type: ignore[arg-type]

    def _stripe_settings(self) -> StripeSettings:
        key = SecretStr(_STRIPE_KEY)
        return StripeSettings(app_env="test", stripe_secret_key=key, stripe_api_base=self.emulator.base_url)  # type: ignore[arg-type]


def poison(body: bytes) -> Publication:
    """An event that must end as a dead letter."""
    return Publication(body, {"published": "poison", "sha256": sha256(body).hexdigest()})


def empty_queues(url: str) -> None:
    topology.declare(url)
    connection = pika.BlockingConnection(pika.URLParameters(url))
    for queue in topology.queues():
        connection.channel().queue_purge(queue.name)
    connection.close()


def _start_what_is_down(stack: Stack) -> None:
    for server in stack.servers:
        if not server.alive:
            server.start()


def payload_of(line: str) -> dict[str, Any] | None:
    """A log line as JSON; None for what is none."""
    with contextlib.suppress(orjson.JSONDecodeError):
        found = orjson.loads(line)
        return found if isinstance(found, dict) else None
    return None
