"""Outbox, queues and keys from the command line."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pika
import psycopg
import pytest

from db.session import Database
from messages.payments import ChargeRequested
from messages.queues import ROUTES
from outbox.append import Envelope, append_again
from outbox.broker import topology
from outbox.sealing import Opener, OpenSettings, Sealer, SealSettings
from tests import factories
from tests.outbox.ops.conftest import Fleet, fail


def test_the_outbox_shows_what_is_due_and_which_retries_come_next(
    fleet: Fleet, db: Database, owner: psycopg.Connection
) -> None:
    payment, message_id = factories.requested(db, factories.tenant(owner)), uuid4()
    fail(db, payment, message_id, 1, "Stripe answered 503")
    message = ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id)
    with db.system_transaction() as tx:
        later = datetime.now(UTC) + timedelta(hours=2, minutes=1)
        append_again(tx, message, Envelope(message_id, 2, 2, "ab" * 16, 0), later)

    document = fleet("outbox", "status", "--json").json
    shown = fleet("outbox", "status").out

    assert (document["due"], document["waiting"]) == (1, 1)
    assert [(lot["kind"], lot["destination"], lot["retries"]) for lot in document["lots"]] == [("charge", "charges", 1)]
    assert document["next"][0]["reason"] == "Stripe answered 503"
    assert "in 2h" in shown
    assert "Stripe answered 503" in shown


def test_every_queue_shows_depth_consumers_and_patience(
    fleet: Fleet, rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RABBITMQ_URL", rabbitmq_url)

    answer = fleet("queues", "--json")

    assert answer.code == 0
    queues = {queue["queue"]: queue for queue in answer.json["queues"]}
    assert (queues["charges"]["ready"], queues["charges"]["consumers"]) == (0, 0)
    assert queues["charges"]["routes"][0]["tries"] == ROUTES[ChargeRequested].patience.tries
    assert fleet("queues").code == 0


def test_a_missing_queue_is_said_and_not_made(fleet: Fleet, rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RABBITMQ_URL", rabbitmq_url)
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        connection.channel().queue_delete("lookups")

    answers = [fleet("queues"), fleet("queues", "--json")]
    topology.declare(rabbitmq_url)  # the broker is shared with the next test

    assert [answer.code for answer in answers] == [1, 1]
    assert "lookups: missing" in answers[0].err


def test_a_broker_that_is_away_has_its_own_code(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:1/")
    answer = fleet("queues")
    assert (answer.code, answer.out) == (69, "")


def test_printed_keys_seal_and_open(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in fleet("keys", "--json").json.items():
        monkeypatch.setenv(name, value)
    sealed = Sealer(SealSettings()).seal(b"original")
    assert Opener(OpenSettings()).open(sealed) == b"original"
    assert fleet("keys").out != fleet("keys").out
