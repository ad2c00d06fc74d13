"""Real servers for every ring of tests: one stack for the session, a cloned database and empty queues for each test.

`make test` runs three processes of pytest (pytest-xdist), each with servers of its own, so that they never meet.
"""

import os
import shutil
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pika
import psycopg
import pytest
from pydantic import SecretStr

from db.migrate import migrate
from db.session import Database
from db.settings import DatabaseSettings
from deploy.local.stack.ownership import Ownership, lock_file
from deploy.local.stack.processes import MARK
from deploy.local.stack.stack import Stack
from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.process import EmulatorProcess
from outbox.broker import topology
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings
from tests import outcomes
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = "fleet_template"
MEMORY = Path("/dev/shm")  # noqa: S108  a folder there is used only when it is ours
ROOM_BYTES = 3 << 30  # clusters, their logs and some dozen clones for three processes, with much to spare


def pytest_configure() -> None:
    """Asked to stop, by either signal: fixtures are torn down, so that every process they started ends.

    A shell gives its background jobs a SIGINT that is ignored, and Python leaves it so; hence both.
    """
    for asked_to_stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked_to_stop, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    outcomes.write_down(item, report)
    return report


@pytest.fixture(scope="session")
def servers_home() -> Iterator[Path]:
    """In memory where there is room: there a database is cloned and dropped in 30 ms, on a busy disk in 300."""
    process = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    home = MEMORY / f"payment-fleet-{sha256(str(ROOT).encode()).hexdigest()[:12]}-{process}"
    if not _has_room_for(home):
        yield ROOT / ".local" / "test" / process
        return
    if home.exists():
        with Ownership(home):  # a run that was killed has left it; its guard may still be at work
            _empty(home)
    yield home
    shutil.rmtree(home, ignore_errors=True)


def _has_room_for(home: Path) -> bool:
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        return False
    return not home.is_symlink() and (not home.exists() or home.stat().st_uid == os.getuid())


def _empty(home: Path) -> None:
    for entry in home.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry != lock_file(home):
            entry.unlink()


@pytest.fixture(scope="session")
def stack(servers_home: Path) -> Iterator[Stack]:
    """PostgreSQL, RabbitMQ and Valkey, as the demo starts them. Addresses in the environment are not used for tests."""
    with Stack(servers_home, outside={}) as running:
        yield running


@pytest.fixture(scope="session")
def template(stack: Stack) -> str:
    """A migrated, empty database that no test writes to; cloning it takes a fraction of migrating."""
    with psycopg.connect(stack.postgres.superuser_url("postgres"), autocommit=True) as superuser:
        superuser.execute(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
        superuser.execute(f"CREATE DATABASE {TEMPLATE} OWNER fleet_owner")
    migrate(stack.postgres.owner_url(TEMPLATE))
    return TEMPLATE


@dataclass(frozen=True)
class Book:
    """One test's own database."""

    name: str
    fleet_url: str
    owner_url: str

    @property
    def settings(self) -> DatabaseSettings:
        return DatabaseSettings(app_env="test", database_url=SecretStr(self.fleet_url))  # type: ignore[arg-type]


@pytest.fixture
def book(stack: Stack, template: str) -> Iterator[Book]:
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(stack.postgres.superuser_url("postgres"), autocommit=True) as superuser:
        superuser.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER fleet_owner STRATEGY file_copy")
        yield Book(name, stack.postgres.fleet_url(name), stack.postgres.owner_url(name))
        superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def db(book: Book) -> Iterator[Database]:
    """The fleet's own way into this test's database."""
    database = Database(book.settings, application="test")
    yield database
    database.close()


@pytest.fixture
def cut_connections(stack: Stack, book: Book) -> Iterator[Callable[[], None]]:
    """End every connection the fleet has to this test's database, as a restart of the server would."""
    with psycopg.connect(stack.postgres.superuser_url("postgres"), autocommit=True) as superuser:

        def cut() -> None:
            superuser.execute(
                "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname = %s AND usename = 'fleet'",
                [book.name],
            )

        yield cut


@pytest.fixture
def database_away(
    stack: Stack, book: Book, cut_connections: Callable[[], None]
) -> Callable[[], AbstractContextManager[None]]:
    """`with database_away():` the fleet is cut off from this test's database and let in again afterwards."""

    @contextmanager
    def away() -> Iterator[None]:
        with psycopg.connect(stack.postgres.superuser_url("postgres"), autocommit=True) as superuser:
            superuser.execute(f"ALTER DATABASE {book.name} ALLOW_CONNECTIONS false")

            def cut_off() -> bool:
                """Also those that were let in just before, and are not yet told by name."""
                cut_connections()
                left = superuser.execute(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE (datname = %s AND usename = 'fleet') OR state = 'starting'",
                    [book.name],
                ).fetchone()
                return left == (0,)

            until(cut_off)
            yield
            superuser.execute(f"ALTER DATABASE {book.name} ALLOW_CONNECTIONS true")

    return away


@pytest.fixture
def owner(book: Book) -> Iterator[psycopg.Connection]:
    """The schema's owner, who sees every row: for looking, and for registering tenants."""
    with psycopg.connect(book.owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def declared_url(stack: Stack) -> str:
    """The broker with our topology; what an older version of the code declared there is made anew."""
    url = stack.rabbitmq.url
    try:
        topology.declare(url)
    except topology.TopologyDriftError:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            for queue in topology.queues():
                connection.channel().queue_delete(queue.name)
        topology.declare(url)
    return url


@pytest.fixture
def rabbitmq_url(declared_url: str) -> str:
    """The broker, with our topology declared and every queue empty."""
    url = declared_url
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    for queue in topology.queues():
        channel.queue_purge(queue.name)
    connection.close()
    return url


@pytest.fixture(scope="session")
def stripe_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    directory = tmp_path_factory.mktemp("stripe")
    options = ("--seed", "1", "--async-capture-delay-ms", "100", "--webhook-retry-seconds", "0.2,0.4,0.8,1,1,1,1,1")
    options += ("--refunds-beyond-balance", "overdraw")  # a test that means the waiting switches it on by control
    with (
        Ownership(directory),
        EmulatorProcess.start(
            directory / "stripe.sqlite3", "test-token", *options, environment={MARK: str(directory)}
        ) as process,
    ):
        yield process


@pytest.fixture
def stripe_control(stripe_server: EmulatorProcess) -> EmulatorControl:
    """The emulator's control door; the emulator is emptied first."""
    control = stripe_server.control()
    control.reset()
    return control


@pytest.fixture
def gateway(stripe_server: EmulatorProcess, stripe_control: EmulatorControl) -> Gateway:
    """The fleet's Stripe client, talking to the emulator over HTTP."""
    return Gateway(stripe_settings(stripe_server.base_url))


def stripe_settings(base_url: str, **changes: object) -> StripeSettings:
    return StripeSettings(
        app_env="test",  # type: ignore[arg-type]
        stripe_secret_key=SecretStr("sk_test_tests12345"),
        stripe_api_base=base_url,
        **changes,  # type: ignore[arg-type]
    )
