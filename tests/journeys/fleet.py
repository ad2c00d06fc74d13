"""The whole fleet for a module of tests: the Procfile's processes, a database and a Stripe emulator of their own.

    with Fleet.of(stack, template, tmp_path) as fleet:
        fleet.arm("charge.after_call")
        fleet.publish(fleet.order(payment_method_id="pm_card_visa"))
        fleet.wait_until_quiet()
        assert fleet.verify().clean

A process that ends by itself (a crash point, a kill) is started again at once, as its supervisor would. Nothing here
waits for a time to pass: every wait is for a condition. On leaving, every process it started has ended.
"""

import contextlib
import os
import shlex
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import orjson
import pika
import psutil
import psycopg
from honcho.environ import parse_procfile
from pika.exceptions import AMQPError
from psycopg.rows import dict_row
from pydantic import SecretStr

from db import tenants
from db.session import Database
from db.settings import DatabaseSettings
from db.tenants import Tenant
from deploy.local import processes
from deploy.local.demo import sale
from deploy.local.demo.order_service import OrderService
from deploy.local.demo.sale import Publication
from deploy.local.stack import CLONE, Stack
from deploy.local.stripe.process import EmulatorProcess, free_port
from messages.settings import EX_CONFIG
from messages.sweeps import SweepDue
from outbox import topology
from outbox.append import append
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings
from tests import factories
from workers.verify import Asked, verify
from workers.verify_report import Report

PROCFILE = parse_procfile((CLONE / "Procfile").read_text()).processes
# All but people's pages, whose own tests run them (tests/outbox/console).
NEEDED = sorted(PROCFILE.keys() - {"console"})
AS_FAST_AS_IT_GOES = 1e9
STOP_SECONDS = 20.0
POLL_SECONDS = 0.03
# What the order service must have heard of a payment that stands in this state.
FACTS = {
    "succeeded": "payment.succeeded",
    "failed": "payment.failed",
    "canceled": "payment.failed",
    "requires_action": "payment.requires_action",
    "authorized": "payment.authorized",
}
_STRIPE_KEY = "sk_test_journeys12345"
_WEBHOOK_SECRET = "whsec_journeys0123456789abcdef"
_WEBHOOK_RETRIES = "0.2,0.4,0.8" + ",1" * 60


class Fleet:
    """Started processes by name; `relay.2` is a second process of the Procfile's line `relay`."""

    def __init__(
        self, stack: Stack, database: str, directory: Path, settings: Mapping[str, str], database_port: int
    ) -> None:
        self.stack = stack
        self._database_port = database_port
        self.directory = directory
        self.tenants = {tenant.name: tenant for tenant in sale.tenants()}
        self.ends: list[tuple[str, int]] = []  # (name, exit code) of every process that ended unasked
        self._database = database
        self._settings = settings
        self._crashes = directory / "crash"
        self._log = directory / "orders.jsonl"
        self._http_port = free_port()
        self._lock = threading.RLock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._leaving = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)

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
        name = f"fleet_{uuid4().hex[:12]}"
        with psycopg.connect(stack.postgres.superuser_url("postgres"), autocommit=True) as superuser:
            superuser.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER fleet_owner STRATEGY file_copy")  # type: ignore[call-overload]
            # Here servers are killed: a commit must have reached the disk, whatever the other tests make do with.
            superuser.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")  # type: ignore[call-overload]
        fleet = cls(stack, name, directory, settings or {}, database_port or stack.postgres.port)
        try:
            with fleet:
                yield fleet
        finally:
            stack.postgres.start()
            with psycopg.connect(stack.postgres.superuser_url("postgres"), autocommit=True) as superuser:
                superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]

    def __enter__(self) -> Self:
        for folder in (self._crashes, self.directory / "metrics", self.directory / "log"):
            folder.mkdir()
        empty_queues(self.stack.rabbitmq.url)
        self.register(*self.tenants.values())
        for name in NEEDED:
            self.start(name)
        self.start_emulator()
        self.control = self.emulator.control()
        self.service = OrderService(self.stack.rabbitmq.url, self._log, None, seed=1)
        self.service.__enter__()
        self.db = Database(self._database_settings(), application="tests")
        self.gateway = Gateway(self._stripe_settings())
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._watcher.join()
        self.service.__exit__()
        processes.kill(processes.marked(self.directory))  # how they stop in good order is a test of its own
        self.emulator.kill()
        self.db.close()

    # ------------------------------------------------------------------------------------------------- processes

    def start(self, name: str) -> None:
        """Start a line of the Procfile, if it does not run."""
        with self._lock:
            if name not in self._running:
                self._running[name] = self._launch(name)

    def stop(self, name: str) -> int:
        """SIGTERM, and wait until it has drained; it stays down until it is started again. Returns the exit code."""
        with self._lock:
            process = self._running.pop(name)
        process.terminate()
        code = process.wait(STOP_SECONDS)
        left = processes.session_of(process.pid)
        assert not left, f"{name} left {left} behind"
        return code

    def kill(self, name: str, *, for_good: bool = False) -> None:
        """SIGKILL to the process and all its children at once; the supervisor brings it back, unless `for_good`."""
        with self._lock:
            processes.kill(processes.session_of(self._running[name].pid))
            if for_good:
                self._running.pop(name).wait()

    def kill_child(self, name: str, which: int) -> None:
        """SIGKILL to one of its children alone."""
        with self._lock:
            children = psutil.Process(self._running[name].pid).children(recursive=True)
            if children:
                processes.kill([children[which % len(children)]])

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """SIGSTOP to all of it, SIGCONT on leaving: as a machine that stood still."""
        members = processes.session_of(self._running[name].pid)
        for member in members:
            member.suspend()
        try:
            yield
        finally:
            for member in members:
                member.resume()

    def arm(self, point: str, times: int = 1) -> None:
        """The next `times` processes that come to this point die there."""
        for number in range(times):
            (self._crashes / f"{point}.{number}").touch()

    def disarm(self) -> None:
        for token in self._crashes.iterdir():
            token.unlink(missing_ok=True)

    def crashes_left(self, point: str) -> int:
        return len(list(self._crashes.glob(f"{point}.*")))

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `fleet ...` as an operator would."""
        command = [sys.executable, "-m", "deploy.cli", *words]
        environment = {**os.environ, **self.environment()}
        return subprocess.run(command, env=environment, cwd=CLONE, capture_output=True, text=True, check=False)

    def log_lines(self) -> Iterator[str]:
        """What all processes said, in no order."""
        for log in sorted((self.directory / "log").iterdir()):
            yield from log.read_text(errors="replace").splitlines()

    def process_of(self, name: str) -> subprocess.Popen[bytes]:
        return self._running[name]

    def _launch(self, name: str) -> subprocess.Popen[bytes]:
        line = PROCFILE[name.partition(".")[0]]
        with (self.directory / "log" / f"{name}.log").open("ab") as output:
            return processes.spawn(shlex.split(line), self.directory, self.environment(), CLONE, output)

    def _watch(self) -> None:
        """The supervisor: what ended is cleared away with its children and started again."""
        while not self._leaving.wait(POLL_SECONDS):
            with self._lock:
                for name, process in self._running.items():
                    if (code := process.poll()) is not None:
                        processes.kill(processes.session_of(process.pid))
                        self.ends.append((name, code))
                        if code == EX_CONFIG:  # no start will ever succeed; wait_until tells
                            self._leaving.set()
                            return
                        self._running[name] = self._launch(name)

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        return {
            **self.stack.environment(),
            "PATH": path,
            "APP_ENV": "staging",  # writes JSON lines, as production does
            "DATABASE_URL": self.stack.postgres.fleet_url(self._database).replace(
                f":{self.stack.postgres.port}/", f":{self._database_port}/"
            ),
            "RABBITMQ_URL": self.stack.rabbitmq.url,
            "REDIS_URL": self.stack.valkey.url,
            "STRIPE_SECRET_KEY": _STRIPE_KEY,
            "STRIPE_WEBHOOK_SECRETS": _WEBHOOK_SECRET,
            "STRIPE_API_BASE": f"http://127.0.0.1:{self._stripe_port}",
            "INTAKE_HTTP_PORT": str(self._http_port),
            "PROMETHEUS_MULTIPROC_DIR": str(self.directory / "metrics"),
            "FLEET_CRASH_POINTS": str(self._crashes),
            **self._settings,
        }

    @property
    def _stripe_port(self) -> int:
        if not hasattr(self, "_stripe_ports"):
            self._stripe_ports = (free_port(), free_port())
        return self._stripe_ports[0]

    def start_emulator(self) -> None:
        """On the same ports and the same file: it goes on where it was."""
        port, control_port = self._stripe_port, self._stripe_ports[1]
        options = {
            "--seed": "1",
            "--async-capture-delay-ms": "100",
            "--webhook-endpoint": f"http://127.0.0.1:{self._http_port}/webhooks/stripe",
            "--webhook-secret": _WEBHOOK_SECRET,
            "--webhook-retry-seconds": _WEBHOOK_RETRIES,
            "--refunds-beyond-balance": "overdraw",
        }
        flags = [word for option in options.items() for word in option]
        database = self.directory / "stripe.sqlite3"
        self.emulator = EmulatorProcess.start(database, "journeys-token", *flags, port=port, control_port=control_port)

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
        connection = pika.BlockingConnection(pika.URLParameters(self.stack.rabbitmq.url))
        channel = connection.channel()
        for body in bodies:
            channel.basic_publish("", queue, body)
        connection.close()

    def register(self, *sellers: Tenant) -> None:
        with psycopg.connect(self.owner_url, autocommit=True) as owner:
            tenants.register(owner, list(sellers))

    def sweep(self) -> None:
        """What the scheduler does every half minute, now."""
        with self.db.system_transaction() as tx:
            row = tx.execute("SELECT clock_timestamp()").fetchone()
            assert row is not None, "a SELECT without FROM always returns a row"
            append(tx, SweepDue(due_at=row[0]))

    # ----------------------------------------------------------------------------------------------------- truth

    @property
    def owner_url(self) -> str:
        return self.stack.postgres.owner_url(self._database)

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Read the book as its owner, who sees every tenant."""
        with psycopg.connect(self.owner_url, autocommit=True, row_factory=dict_row) as owner:
            return owner.execute(statement, values).fetchall()  # type: ignore[call-overload,no-any-return]

    def hurry(self) -> None:
        """What is due later is due now: the pauses between tries pass."""
        self.change("UPDATE outbox SET due_at = clock_timestamp() WHERE due_at > clock_timestamp()")

    def change(self, statement: str, *values: Any) -> None:
        """Let time pass in the book, as its owner."""
        with psycopg.connect(self.owner_url, autocommit=True) as owner:
            owner.execute(statement, values)  # type: ignore[call-overload]

    def payment_of(self, order: Publication) -> dict[str, Any]:
        (payment,) = self.rows("SELECT * FROM payments WHERE order_id = %s", order.log["order_id"])
        return payment

    def backlog(self) -> int:
        """What waits anywhere: order events, outbox rows, messages."""
        depths = topology.depths(self.stack.rabbitmq.url)
        return int(self.rows("SELECT count(*) FROM outbox")[0]["count"]) + sum(max(0, n) for n in depths.values())

    def letters(self, words: str) -> list[dict[str, Any]]:
        """Dead letters that hold these words in their payload or their reason."""
        return self.rows("SELECT * FROM dead_letters WHERE concat(payload, reason) LIKE %s", f"%{words}%")

    def settled(self) -> int:
        return int(self.rows("SELECT count(*) FROM payments WHERE state NOT IN ('requested', 'charging')")[0]["count"])

    def end_sessions(self, application: str, state: str = "%") -> int:
        """pg_terminate_backend for the sessions of some of our processes; returns how many."""
        with psycopg.connect(self.stack.postgres.superuser_url(self._database), autocommit=True) as superuser:
            return superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE %s AND state LIKE %s",
                [application, state],
            ).rowcount

    def state_of(self, order: Publication) -> str:
        found = self.rows("SELECT state FROM payments WHERE order_id = %s", order.log["order_id"])
        return found[0]["state"] if found else "not accepted"

    def told(self) -> dict[UUID, list[str]]:
        """What the order service heard of each payment, in order, each event once."""
        heard: dict[UUID, dict[str, str]] = defaultdict(dict)
        for kind, payment_id, event_id in Asked.read(self._log).told:
            heard[payment_id].setdefault(event_id, kind)
        return {payment_id: list(kinds.values()) for payment_id, kinds in heard.items()}

    def verify(self) -> Report:
        return verify(self.db, self.gateway, self.stack.rabbitmq.url, Asked.read(self._log))

    def wait_until(self, holds: Callable[[], bool], what: str, timeout: float = 30.0, poll: float = 0.03) -> None:
        """Return as soon as `holds`; a server that is away just now counts as no."""
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(psycopg.OperationalError, AMQPError, OSError):
                if holds():
                    return
            assert not self._leaving.is_set(), f"{self.ends[-1][0]} cannot start; see {self.directory / 'log'}"
            assert time.monotonic() < deadline, f"after {timeout:.0f} s still not: {what}"
            time.sleep(poll)

    def wait_until_quiet(self, timeout: float = 60.0, *, hurry: bool = False) -> None:
        """Every order is in the book and at rest, told, and nothing is queued or on its way.

        `hurry`: the pauses between tries, minutes long when a row says so, pass at once.
        """
        moving: list[str] = ["nothing was looked at yet"]

        def quiet() -> bool:
            if hurry:
                self.hurry()
            moving[:] = self._moving()
            return not moving

        try:
            self.wait_until(quiet, "quiet", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; {'; '.join(moving)}") from None

    def _moving(self) -> list[str]:
        """What still moves, in words; the cheap questions first."""
        asked, told = Asked.read(self._log), self.told()
        with psycopg.connect(self.owner_url) as owner:
            owner.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # one moment for all four questions
            counts = owner.execute(_COUNTS).fetchone()
            states = dict(owner.execute("SELECT payment_id, state FROM payments").fetchall())
            seen = {row[0] for row in owner.execute("SELECT order_id FROM orders").fetchall()}
            buried = {bytes(row[0]) for row in owner.execute("SELECT payload_sha256 FROM dead_letters").fetchall()}
        assert counts is not None, "a SELECT of scalars always returns a row"
        deliveries = self.control.summary()["deliveries"].get("pending", 0)
        untold = sum(
            FACTS.get(state, state) not in told.get(payment, []) for payment, state in states.items() if state in FACTS
        )
        found = dict(
            zip(("payments moving", "outbox rows", "events waiting", "charges without fee"), counts, strict=True)
        )
        found |= {
            "orders not seen": len(asked.orders - seen),
            "poison not buried": len(asked.poison - buried),
            "payments not told": untold,
            "webhooks pending": deliveries,
        }
        moving = [f"{count} {what}" for what, count in found.items() if count]
        if not moving:
            depths = topology.depths(self.stack.rabbitmq.url)
            moving = [f"{depth} in {name}" for name, depth in depths.items() if depth > 0]
        return moving

    def _database_settings(self) -> DatabaseSettings:
        url = SecretStr(self.stack.postgres.fleet_url(self._database))
        return DatabaseSettings(app_env="test", database_url=url)  # type: ignore[arg-type]

    def _stripe_settings(self) -> StripeSettings:
        key = SecretStr(_STRIPE_KEY)
        return StripeSettings(app_env="test", stripe_secret_key=key, stripe_api_base=self.emulator.base_url)  # type: ignore[arg-type]


_COUNTS = """
    SELECT
        (SELECT count(*) FROM payments WHERE state IN ('requested', 'charging')),
        -- A retry that is due later, of a payment that is settled meanwhile, will find nothing to do.
        (SELECT count(*) FROM outbox o WHERE due_at <= clock_timestamp() OR NOT EXISTS (
            SELECT FROM payments p
            WHERE p.payment_id = o.ordering_key AND p.state IN ('succeeded', 'failed', 'canceled'))),
        (SELECT count(*) FROM webhook_inbox WHERE state IN ('pending', 'unmatched')),
        (SELECT count(*) FROM charges WHERE balance_transaction_id IS NULL)
"""


def poison(body: bytes) -> Publication:
    """An event that must end as a dead letter."""
    return Publication(body, {"published": "poison", "sha256": sha256(body).hexdigest()})


def empty_queues(url: str) -> None:
    topology.declare(url)
    connection = pika.BlockingConnection(pika.URLParameters(url))
    for queue in topology.queues():
        connection.channel().queue_purge(queue.name)
    connection.close()


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do `work` in another thread during the block, and wait for it at its end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001  handed to the thread that waits
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failures:
        raise failures[0]


def payload_of(line: str) -> dict[str, Any] | None:
    """A log line as JSON; None for what is none."""
    with contextlib.suppress(orjson.JSONDecodeError):
        found = orjson.loads(line)
        return found if isinstance(found, dict) else None
    return None
