"""The ground a bench stands on: a stack of its own, fresh databases, a queue, tenants. All of it is gone afterwards."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pika
import psycopg
from pika.adapters.blocking_connection import BlockingChannel
from pydantic import SecretStr

from db.migrate import migrate
from db.session import Database
from db.settings import DatabaseSettings
from db.tenants import tenants
from db.tenants.tenants import Tenant, Venue
from deploy.local.bench import cpu
from deploy.local.bench.measures import Results
from deploy.local.stack.stack import Stack
from messages.fees import FeePlan
from messages.ids import TenantId, VenueId
from messages.runtime.settings import AppEnv
from outbox.broker import topology

TEMPLATE = "bench_template"
QUEUE = "bench.relay"


@dataclass(frozen=True, slots=True)
class Book:
    """One migrated database of the bench."""

    fleet_url: str
    owner_url: str

    def settings(self, connections: int = 10) -> DatabaseSettings:
        return DatabaseSettings(
            app_env=AppEnv.LOCAL, database_url=SecretStr(self.fleet_url), database_pool_size=connections
        )

    @contextmanager
    def opened(self, connections: int = 10) -> Iterator[Database]:
        """The fleet's own way in."""
        database = Database(self.settings(connections), application="bench")
        try:
            yield database
        finally:
            database.close()

    def owner(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.owner_url, autocommit=True)


@dataclass(frozen=True, slots=True)
class Ground:
    """What every measure is given."""

    stack: Stack
    results: Results
    passes: int
    quick: bool

    @contextmanager
    def book(self) -> Iterator[Book]:
        name = f"bench_{uuid4().hex[:12]}"
        with self._superuser() as superuser:
            superuser.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER fleet_owner")
        try:
            yield Book(self.stack.postgres.fleet_url(name), self.stack.postgres.owner_url(name))
        finally:
            with self._superuser() as superuser:
                superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def template(self) -> Iterator[None]:
        """The migrated, empty database that every book is a copy of."""
        drop = f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)"
        with self._superuser() as superuser:
            superuser.execute(drop)
            superuser.execute(f"CREATE DATABASE {TEMPLATE} OWNER fleet_owner")
        migrate(self.stack.postgres.owner_url(TEMPLATE))
        try:
            yield
        finally:
            with self._superuser() as superuser:
                superuser.execute(drop)

    def settle(self) -> None:
        """Write out what the preparation left, so that no measure pays for it."""
        with self._superuser() as superuser:
            superuser.execute("CHECKPOINT")
        time.sleep(0.2)

    def postgres_seconds(self) -> float:
        assert self.stack.postgres.process is not None, "the bench starts its own PostgreSQL"
        return cpu.family_seconds(self.stack.postgres.process.pid)

    def broker_seconds(self) -> float:
        assert self.stack.rabbitmq.process is not None, "the bench starts its own RabbitMQ"
        return cpu.family_seconds(self.stack.rabbitmq.process.pid)

    def _superuser(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.stack.postgres.superuser_url("postgres"), autocommit=True)

    @contextmanager
    def queue(self) -> Iterator["Queue"]:
        """A queue as the fleet's own are, which nobody consumes."""
        connection = pika.BlockingConnection(pika.URLParameters(self.stack.rabbitmq.url))
        channel = connection.channel()
        channel.queue_delete(QUEUE)
        channel.queue_declare(QUEUE, durable=True, arguments=topology.work_queue_arguments())
        channel.confirm_delivery()
        try:
            yield Queue(channel)
        finally:
            channel.queue_delete(QUEUE)
            connection.close()


@dataclass(frozen=True, slots=True)
class Queue:
    channel: BlockingChannel

    def empty(self) -> None:
        self.channel.queue_purge(QUEUE)
        time.sleep(0.1)


@contextmanager
def ground(directory: Path, results: Results, *, quick: bool) -> Iterator[Ground]:
    """Servers from the environment are not used: a bench must know the machine it runs on."""
    with Stack(directory, outside={}) as stack:
        _delete_queues(stack.rabbitmq.url)  # those of an earlier version, when a bench was killed
        topology.declare(stack.rabbitmq.url)
        prepared = Ground(stack, results, passes=2 if quick else 5, quick=quick)
        try:
            with prepared.template():
                yield prepared
        finally:
            _delete_queues(stack.rabbitmq.url)


def _delete_queues(url: str) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    for queue in topology.queues():
        connection.channel().queue_delete(queue.name)
    connection.close()


def register_tenant(book: Book) -> Tenant:
    """One promoter with one venue that sells in euros: 5 % + 0.50."""
    venue = Venue(VenueId(uuid4()), "The Hall", "eur", FeePlan(500, 50, "eur"))
    tenant = Tenant(TenantId(uuid4()), "A Promoter", (venue,))
    with book.owner() as owner:
        tenants.register(owner, [tenant])
    return tenant
