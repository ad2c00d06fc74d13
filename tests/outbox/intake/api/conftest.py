"""The API of one test, in this process and over this test's database; and callers of it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from starlette.testclient import TestClient

from db.payments import charges, payments
from db.payments.payments import Payment, PaymentAttempt
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stack.stack import Stack
from messages.runtime.cache import CacheSettings
from outbox.broker.settings import BrokerSettings
from outbox.intake.api.app import Api
from outbox.intake.api.settings import ApiSettings
from outbox.intake.http import NEEDED, WebhookEndpoint, checks_of
from outbox.process.health import Health
from stripe_client.webhook_signatures import WebhookSettings
from tests import factories, signing, tokens
from tests.conftest import Book
from tests.outbox.intake.api import server
from tests.outbox.intake.api.server import Somebody
from tests.tokens import Keys

MakeApi = Callable[..., TestClient]
As = Callable[..., Somebody]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return tokens.new_keys(tmp_path_factory.mktemp("api-keys"))


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.fixture
def neighbour(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.fixture
def valkey(stack: Stack) -> Iterator[redis.Redis]:
    """Empty at the start."""
    with redis.Redis.from_url(stack.valkey.url) as client:
        client.flushall()
        yield client


def api_settings(keys: Keys, **changes: Any) -> ApiSettings:
    fields: dict[str, Any] = {
        "app_env": "test",
        "api_jwt_public_key_file": keys.public_file,
        "api_jwt_issuer": server.ISSUER,
        "api_jwt_audience": server.AUDIENCE,
        "api_requests_per_minute": 100_000,
        "api_payments_per_minute": 100_000,
        "api_refunds_per_minute": 100_000,
    }
    return ApiSettings(**(fields | changes))


@pytest.fixture
def make_api(book: Book, stack: Stack, keys: Keys, valkey: redis.Redis) -> Iterator[MakeApi]:
    """`make_api(api_payments_per_minute=2, cache=url)`: the whole application in this process."""
    made: list[Api] = []

    def make(*, cache: str = stack.valkey.url, **changes: Any) -> TestClient:
        cached = CacheSettings(app_env="test", redis_url=cache)  # type: ignore[arg-type]
        broker = BrokerSettings(app_env="test", rabbitmq_url=stack.rabbitmq.url)
        made.append(Api(api_settings(keys, **changes), book.settings, cached))
        door = WebhookEndpoint(
            db=None,  # type: ignore[arg-type]  # webhooks have tests of their own
            secrets=WebhookSettings(app_env="test", stripe_webhook_secrets=(signing.SECRET,)),  # type: ignore[arg-type]
            health=Health("intake-http", checks_of(None, cached, broker), NEEDED),  # type: ignore[arg-type]
            api=made[-1].routes(),
        )
        return TestClient(door.app(), raise_server_exceptions=False)

    yield make
    for api in made:
        api.close()


@pytest.fixture
def client(make_api: MakeApi) -> TestClient:
    return make_api()


@pytest.fixture
def as_(client: TestClient, keys: Keys, tenant: Tenant) -> As:
    """`as_("finance", venues=[...])`: somebody of this test's tenant with that role."""

    def somebody(*roles: str, of: Tenant = tenant, through: TestClient = client, **claims: Any) -> Somebody:
        return Somebody(through, server.token(keys, of.tenant_id, *roles, **claims))

    return somebody


@pytest.fixture
def environment(book: Book, stack: Stack, keys: Keys, tmp_path: Path) -> dict[str, str]:
    """For the process itself."""
    return server.environment(book.fleet_url, stack.rabbitmq.url, stack.valkey.url, keys)


def order(of: Tenant, **changes: Any) -> dict[str, Any]:
    """The body of POST /payments."""
    body = factories.order(of, **changes)
    return {name: value for name, value in body.items() if name not in {"tenant_id", "idempotency_key"}}


def captured_payment(db: Database, of: Tenant) -> Payment:
    payment = factories.requested(db, of, amount_minor=4200)
    with db.transaction(of.tenant_id) as tx:
        payments.begin_charging(tx, payment.payment_id, platform_fee_minor=260, by="test")
        charged = PaymentAttempt(None, "charged")
        payments.mark_succeeded(tx, payment, intent_id="pi_1", platform_fee_minor=260, attempt=charged, by="test")
        charges.record(tx, payment, charge_id="ch_1", intent_id="pi_1", amount_minor=4200)
    return factories.reread(db, of.tenant_id, payment.payment_id)


def held_payment(db: Database, of: Tenant) -> Payment:
    payment = factories.requested(db, of, amount_minor=4200, capture="manual")
    until = datetime.now(UTC) + timedelta(days=6)
    with db.transaction(of.tenant_id) as tx:
        payments.begin_charging(tx, payment.payment_id, platform_fee_minor=260, by="test")
        payments.mark_authorized(tx, payment, intent_id=f"pi_{uuid4().hex}", capture_before=until, by="test")
    return factories.reread(db, of.tenant_id, payment.payment_id)
