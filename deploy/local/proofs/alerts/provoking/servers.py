"""Servers that are killed, processes that stop or stand still, and what somebody does to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString
from uuid import uuid4

import pika
import psycopg

from deploy.local.proofs.alerts.provoking.provocation import Provocation, orders, refunds, stopped
from deploy.local.proofs.alerts.scene import Scene
from deploy.local.scenario.back_office import Request
from deploy.local.scenario.orders import tenants


@contextmanager
def _broker_killed(scene: Scene) -> Iterator[None]:
    scene.fleet.stack.rabbitmq.kill()
    refunds(scene)  # rows come into the outbox, and cannot leave it
    yield
    scene.fleet.stack.rabbitmq.start()


_REFUNDS_ON_THEIR_WAY: LiteralString = "SELECT FROM refunds WHERE state IN ('requested', 'sending')"


@contextmanager
def _queue_gone(scene: Scene) -> Iterator[None]:
    """The broker returns what nobody could ever get: here a queue was deleted, and nobody declares it meanwhile.

    What lay in it would wait for the sweep.
    """
    scene.wait_until(lambda: not scene.rows(_REFUNDS_ON_THEIR_WAY), "refunds are with Stripe", seconds=90)
    scene.fleet.stop("workers", 15)
    url = pika.URLParameters(scene.fleet.stack.rabbitmq.url)
    with pika.BlockingConnection(url) as connection:
        connection.channel().queue_delete("refunds")
    refunds(scene)
    yield
    scene.fleet.start("workers")


@contextmanager
def _database_killed(scene: Scene) -> Iterator[None]:
    scene.fleet.stack.postgres.kill()
    yield
    scene.fleet.stack.postgres.start()


@contextmanager
def _cache_killed(scene: Scene) -> Iterator[None]:
    scene.fleet.stack.valkey.kill()
    yield
    scene.fleet.stack.valkey.start()


@contextmanager
def _worker_stands(scene: Scene) -> Iterator[None]:
    with scene.fleet.paused(scene.fleet.members("workers")[1:2]):
        yield


@contextmanager
def _snapshot_held(scene: Scene) -> Iterator[None]:
    with psycopg.connect(scene.fleet.stack.postgres.superuser_url()) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM payments")
        yield
        connection.rollback()


@contextmanager
def _right_taken(scene: Scene) -> Iterator[None]:
    scene.owner("REVOKE SELECT ON disputes FROM fleet_system")
    yield
    scene.owner("GRANT SELECT ON disputes TO fleet_system")


def _ask_api(scene: Scene) -> None:
    """Somebody asks for money back, and gets a 5xx while the database is away."""
    tenant_id = str(tenants()[0].tenant_id)
    scene.office.ask(Request(tenant_id, f"/payments/{uuid4()}/refunds", {}, str(uuid4())))


# While work is still done as it comes: a Stripe that fails leaves old work behind for minutes.
FIRST = (
    Provocation(
        "all workers are stopped while orders come in",
        frozenset({"FleetProcessAway", "FleetWorkOld", "FleetDrainsSlowly"}),
        stopped("workers"),
        orders,
    ),
)
PROVOCATIONS = (
    Provocation("RabbitMQ is killed", frozenset({"FleetBrokerAway", "FleetRelayStands"}), _broker_killed, refunds),
    Provocation("a queue is deleted", frozenset({"FleetOutboxRefused"}), _queue_gone, refunds),
    Provocation("the console is stopped", frozenset({"FleetConsoleAway"}), stopped("console")),
    Provocation("the scheduler is stopped", frozenset({"FleetCollectorBlind"}), stopped("scheduler")),
    Provocation("one worker process hangs", frozenset({"FleetLoopStands"}), _worker_stands),
    Provocation("Valkey is killed", frozenset({"FleetCacheAway", "FleetBudgetNotShared"}), _cache_killed, orders),
    Provocation(
        "PostgreSQL is killed",
        frozenset({"FleetDatabaseAway", "FleetCollectorBlind", "FleetApiFailing"}),
        _database_killed,
        _ask_api,
    ),
    Provocation("a session holds its snapshot", frozenset({"FleetOldSnapshot"}), _snapshot_held),
    Provocation("the collector may not read disputes", frozenset({"FleetCollectorPartFails"}), _right_taken),
)
