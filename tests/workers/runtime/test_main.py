"""The workers as Dramatiq runs them: one queue and one actor for each message, and nothing acked before it is done."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import orjson
import pika
import psycopg
import pytest
from dramatiq import Worker
from pika.adapters.blocking_connection import BlockingChannel

from db.session import Database
from db.tenants.tenants import Tenant
from messages.base import Message
from messages.queues import ROUTES, kind_to_message
from outbox.broker.dramatiq_broker import FleetBroker
from outbox.sealing import Sealer, SealSettings, new_pair
from stripe_client.gateway import Gateway
from tests import factories, queues
from tests.workers.conftest import Ledgers
from workers import main
from workers.runtime.actor import ACTORS
from workers.runtime.retries import NotWrittenDownError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def channel(rabbitmq_url: str) -> Iterator[BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_url))
    yield connection.channel()
    connection.close()


@pytest.fixture
def worker(rabbitmq_url: str, db: Database, gateway: Gateway) -> Iterator[Worker]:
    broker = FleetBroker(rabbitmq_url)
    public, _ = new_pair()
    sealer = Sealer(SealSettings(app_env="test", dead_letter_public_key=public))  # type: ignore[arg-type]
    main.build(broker, db, gateway, sealer)
    worker = Worker(broker, worker_threads=2, worker_timeout=100)
    worker.start()
    yield worker
    stop(worker)
    broker.close()


def test_each_message_has_one_queue_and_one_actor() -> None:
    assert {entry.message for entry in ACTORS.values()} == set(ROUTES)
    assert {kind: entry.message for kind, entry in ACTORS.items()} == kind_to_message()


def test_every_message_class_of_ours_is_in_the_queue_table() -> None:
    assert set(Message.__subclasses__()) == set(ROUTES)


def test_a_run_may_take_far_less_than_the_brokers_consumer_timeout() -> None:
    assert max(route.patience.time_limit_seconds for route in ROUTES.values()) <= 300


def test_a_delivered_message_is_handled_and_acked(
    worker: Worker, db: Database, tenant: Tenant, owner: psycopg.Connection, channel: BlockingChannel,
    book_of: Ledgers,
) -> None:  # fmt: skip
    payment = factories.requested(db, tenant)

    publish_outbox(owner, channel)

    wait_until(lambda: book_of.count("charges") == 1)
    assert book_of.states(payment.payment_id)[-1] == "succeeded"
    assert nothing_is_left(worker, channel, "charges")


@pytest.mark.parametrize(
    "body",
    [
        b"\x00 no json",
        b"{}",
        b'{"queue_name": "charges"}',
        orjson.dumps(
            {"queue_name": "charges", "actor_name": "nobody", "args": [], "kwargs": {}, "options": {},
             "message_id": str(uuid4()), "message_timestamp": 1}
        ),
    ],
    ids=["bytes", "empty", "cut", "unknown actor"],
)  # fmt: skip
def test_what_dramatiq_cannot_read_ends_in_the_dead_letter_queue_and_the_next_message_is_handled(
    worker: Worker, db: Database, tenant: Tenant, owner: psycopg.Connection, channel: BlockingChannel, body: bytes,
    book_of: Ledgers,
) -> None:  # fmt: skip
    channel.basic_publish("", "charges", body)
    factories.requested(db, tenant)

    publish_outbox(owner, channel)

    wait_until(lambda: book_of.count("charges") == 1)
    assert queues.wait_for(channel, "fleet.dead", 1) == [body]


def test_an_outcome_that_could_not_be_written_down_is_given_back_and_done_later(
    worker: Worker, db: Database, tenant: Tenant, owner: psycopg.Connection, channel: BlockingChannel,
    book_of: Ledgers, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    runs: list[int] = []
    run = main.actor.run

    def away_once(*given: object) -> None:
        runs.append(1)
        if len(runs) == 1:
            raise NotWrittenDownError("the database is away")
        run(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(main.actor, "run", away_once)
    factories.requested(db, tenant)

    publish_outbox(owner, channel)

    wait_until(lambda: book_of.count("charges") == 1)
    assert len(runs) == 2
    assert nothing_is_left(worker, channel, "charges")
    assert queues.drain(channel, "fleet.dead") == []


def test_a_worker_without_settings_names_all_that_is_missing_and_does_not_start() -> None:
    bare = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}

    ended = subprocess.run(
        [sys.executable, "-m", "workers.main"], env=bare, cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 78
    for name in ("APP_ENV", "DATABASE_URL", "RABBITMQ_URL", "STRIPE_SECRET_KEY"):
        assert f"{name} is not set" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_imports_only_go_down() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout


def publish_outbox(owner: psycopg.Connection, channel: BlockingChannel) -> None:
    """What the relay would do, once."""
    rows = owner.execute("DELETE FROM outbox WHERE exchange = '' RETURNING routing_key, body").fetchall()
    for routing_key, body in rows:
        channel.basic_publish("", routing_key, body)


def nothing_is_left(worker: Worker, channel: BlockingChannel, queue: str) -> bool:
    """A stopped worker's unacked messages come back to their queue; there are none."""
    stop(worker)
    time.sleep(0.1)
    return queues.drain(channel, queue) == []


def stop(worker: Worker) -> None:
    if worker.workers:
        worker.stop()
        worker.workers.clear()
        worker.consumers.clear()


def wait_until(done: Callable[[], bool], *, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
