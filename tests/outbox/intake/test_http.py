"""The public door: 2xx only for what is stored, 400 for what is not Stripe's, and nothing trusted before that."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest
from httpx import Response
from pydantic import SecretStr
from starlette.testclient import TestClient

from db import session
from db.session import Database
from deploy.local.stack.stack import Stack
from deploy.local.stripe.process import free_port
from messages.runtime.cache import CacheSettings
from outbox.broker.settings import BrokerSettings
from outbox.intake.http import LARGEST_WEBHOOK_BYTES, NEEDED, WebhookEndpoint, checks_of
from outbox.process.health import Health
from outbox.process.heartbeat import beat
from stripe_client.webhook_signatures import WebhookSettings
from tests import signing
from tests.conftest import Book

MakeDoor = Callable[..., TestClient]


@pytest.fixture
def make_door(book: Book, stack: Stack) -> Iterator[MakeDoor]:
    made: list[Database] = []

    def make(**changes: Any) -> TestClient:
        made.append(Database(book.settings, application="test"))
        secrets = tuple(SecretStr(secret) for secret in (signing.SECRET, signing.ROLLED_SECRET))
        env: Any = changes.get("env", "test")
        cache = CacheSettings(app_env="test", redis_url=SecretStr(changes.get("cache", stack.valkey.url)))  # type: ignore[arg-type]
        broker = BrokerSettings(app_env="test", rabbitmq_url=SecretStr(changes.get("broker", stack.rabbitmq.url)))  # type: ignore[arg-type]
        door = WebhookEndpoint(
            made[-1],
            WebhookSettings(app_env=env, stripe_webhook_secrets=secrets),
            Health("intake-http", checks_of(made[-1], cache, broker), NEEDED),
        )
        return TestClient(door.app(), raise_server_exceptions=False)

    yield make
    for database in made:
        database.close()


@pytest.fixture
def door(make_door: MakeDoor) -> TestClient:
    return make_door()


def test_a_signed_event_is_stored_with_the_message_that_drains_it(door: TestClient, owner: psycopg.Connection) -> None:
    ours = {"tenant_id": str(uuid4()), "payment_id": str(uuid4())}
    event = signing.event(object={"id": "pi_1", "metadata": ours})

    answer = deliver(door, event)

    assert answer.status_code == 204
    row = owner.execute("SELECT event_id, tenant_id::text, payment_id::text, object_id, state FROM webhook_inbox")
    assert row.fetchall() == [(event["id"], ours["tenant_id"], ours["payment_id"], "pi_1", "pending")]
    assert drained(owner) == [event["id"]]


@pytest.mark.parametrize("secret", [signing.SECRET, signing.ROLLED_SECRET])
def test_both_secrets_open_the_door_while_one_is_rolled(
    door: TestClient, owner: psycopg.Connection, secret: str
) -> None:
    raw = signing.raw(signing.event())

    assert post(door, raw, signing.header(raw, secret)).status_code == 204


def test_a_duplicate_is_one_row_and_one_message(door: TestClient, owner: psycopg.Connection) -> None:
    event = signing.event()

    answers = [deliver(door, event).status_code for _ in range(5)]

    assert answers == [204] * 5
    assert len(stored(owner)) == 1
    assert drained(owner) == [event["id"]]


def test_an_event_we_do_not_act_on_is_kept_and_nothing_is_queued(door: TestClient, owner: psycopg.Connection) -> None:
    assert deliver(door, signing.event("customer.created")).status_code == 204

    assert owner.execute("SELECT event_type, state FROM webhook_inbox").fetchall() == [("customer.created", "kept")]
    assert drained(owner) == []


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=1,v1=00",
        "t=1,v1=\xe9".encode("latin-1"),
        signing.header(b"another body"),
        signing.header(b"{}", "whsec_somebody_else"),
        signing.header(b"{}", age_seconds=600),
    ],
    ids=["none", "empty", "short", "not-ascii", "other-body", "other-secret", "old"],
)
def test_what_stripe_did_not_sign_just_now_is_refused_and_nothing_is_stored(
    door: TestClient, owner: psycopg.Connection, header: str | bytes | None
) -> None:
    answer = post(door, b"{}", header)

    assert answer.status_code == 400
    assert_problem(answer)
    assert stored(owner) == []


@pytest.mark.parametrize(
    "event",
    [
        {"id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.error", "related_object": {"id": "m"}},
        signing.event(created="yesterday"),
        signing.event(id="no-event-id"),
        signing.event(livemode=True),
    ],
    ids=["thin", "no-time", "no-id", "other-mode"],
)
def test_a_signed_body_that_is_no_event_of_ours_is_refused_and_nothing_is_stored(
    door: TestClient, owner: psycopg.Connection, event: dict[str, Any]
) -> None:
    answer = deliver(door, event)

    assert answer.status_code == 400
    assert_problem(answer)
    assert stored(owner) == []


def test_production_takes_live_events_only(make_door: MakeDoor) -> None:
    door = make_door(env="production")

    assert deliver(door, signing.event(livemode=True)).status_code == 204
    assert deliver(door, signing.event(livemode=False)).status_code == 400


def test_an_oversized_body_is_not_read(door: TestClient, owner: psycopg.Connection) -> None:
    raw = b"x" * (LARGEST_WEBHOOK_BYTES + 1)

    answer = post(door, raw, signing.header(raw))

    assert answer.status_code == 413
    assert_problem(answer)


def test_personal_data_of_an_event_is_not_stored(door: TestClient, owner: psycopg.Connection) -> None:
    person = {
        "receipt_email": "ada@example.com",
        "client_secret": "pi_1_secret_abcdefghijk",
        "shipping": {"name": "Ada"},
    }

    deliver(door, signing.event(object=person))

    [(payload,)] = owner.execute("SELECT payload::text FROM webhook_inbox").fetchall()
    assert not [word for word in ("ada@", "Ada", "_secret_") if word in payload]


def test_without_the_database_the_event_is_not_acknowledged(
    make_door: MakeDoor, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch,
    database_away: Callable[[], AbstractContextManager[None]],
) -> None:  # fmt: skip
    monkeypatch.setattr(session, "POOL_PATIENCE_SECONDS", 0.1)
    door = make_door()
    with database_away():
        answer = deliver(door, signing.event())

    assert answer.status_code == 503
    assert_problem(answer)
    assert stored(owner) == []


@pytest.mark.parametrize("away", [None, "broker", "cache"])
def test_ready_is_what_the_health_port_says_and_asks_only_for_what_a_webhook_needs(
    make_door: MakeDoor, away: str | None
) -> None:
    beat("intake-http")
    scheme = {"broker": "amqp", "cache": "redis"}
    door = make_door(**{away: f"{scheme[away]}://127.0.0.1:{free_port()}/0"} if away else {})

    answer = door.get("/health/ready")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "db": "up"})
    assert deliver(door, signing.event()).status_code == 204


def test_ready_answers_quickly_while_the_database_is_away(
    make_door: MakeDoor, database_away: Callable[[], AbstractContextManager[None]]
) -> None:
    beat("intake-http")
    door = make_door()
    with database_away():
        answer = door.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["db"] == "down"
    assert answer.elapsed.total_seconds() < 4  # a prober asks every few seconds and does not wait


def test_live_needs_nobody(make_door: MakeDoor, database_away: Callable[[], AbstractContextManager[None]]) -> None:
    door = make_door()
    with database_away():
        assert door.get("/health/live").json() == {"status": "live"}


def test_metrics_count_deliveries_by_what_became_of_them(door: TestClient) -> None:
    before = counted(door, "stored"), counted(door, "duplicate"), counted(door, "bad_signature")
    event = signing.event()

    deliver(door, event)
    deliver(door, event)
    post(door, b"{}", None)

    after = counted(door, "stored"), counted(door, "duplicate"), counted(door, "bad_signature")
    assert after == tuple(number + 1 for number in before)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/webhooks/stripe", 405), ("POST", "/nothing", 404), ("GET", "/docs", 404)]
)
def test_everything_else_is_a_problem_in_json(door: TestClient, method: str, path: str, status: int) -> None:
    answer = door.request(method, path)

    assert answer.status_code == status
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)
    assert_problem(answer)


def deliver(door: TestClient, event: dict[str, Any]) -> Response:
    raw = signing.raw(event)
    return post(door, raw, signing.header(raw))


def post(door: TestClient, raw: bytes, header: str | bytes | None) -> Response:
    signature = {} if header is None else {"Stripe-Signature": header}
    return door.post("/webhooks/stripe", content=raw, headers=signature)


def assert_problem(answer: Response) -> None:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(body) == {"type", "title", "status", "detail"}
    assert body["status"] == answer.status_code


def stored(owner: psycopg.Connection) -> list[tuple[Any, ...]]:
    return owner.execute("SELECT event_id FROM webhook_inbox").fetchall()


def drained(owner: psycopg.Connection) -> list[str]:
    """Ids of the events that a queued message drains."""
    bodies = owner.execute("SELECT body FROM outbox WHERE kind = 'webhook'").fetchall()
    return [orjson.loads(body)["kwargs"]["payload"]["event_id"] for (body,) in bodies]


def counted(door: TestClient, outcome: str) -> float:
    name = f'fleet_intake_webhooks_total{{outcome="{outcome}"}}'
    lines = [line for line in door.get("/metrics").text.splitlines() if line.startswith(name)]
    return float(lines[0].split()[-1]) if lines else 0.0
