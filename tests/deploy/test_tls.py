"""The addresses with TLS of deploy/docs/shipping.md, at real servers: verified, and refused if a stranger signed."""

from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
import redis

from db.session import Database
from db.settings import DatabaseSettings
from deploy.local.stack.stack import Stack
from messages.runtime.cache import CacheSettings
from messages.runtime.settings import EX_CONFIG, load
from outbox.broker import topology
from outbox.broker.publisher import Outgoing, Publisher
from outbox.broker.settings import BrokerSettings
from tests.conftest import Book
from tests.deploy.tls_front import Authority, authority, tls_front


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return authority(tmp_path, "ours")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return authority(tmp_path, "stranger")


@pytest.fixture(autouse=True)
def _production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")


def test_the_database_is_reached_over_tls_and_a_strangers_certificate_is_refused(
    book: Book, stack: Stack, ours: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_front(stack.postgres.port, ours, postgres=True) as port:
        base = book.fleet_url.replace(f"@127.0.0.1:{stack.postgres.port}", f"@localhost:{port}")
        monkeypatch.setenv("DATABASE_URL", f"{base}?sslmode=verify-full&sslrootcert={ours.ca}")
        (settings,) = load(DatabaseSettings)
        db = Database(settings, application="test")
        with db.system_transaction() as tx:
            assert tx.execute("SELECT 1").fetchone() == (1,)
        db.close()

        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            psycopg.connect(f"{base}?sslmode=verify-full&sslrootcert={stranger.ca}", connect_timeout=5)


def test_the_broker_is_reached_over_tls_and_a_strangers_certificate_is_refused(
    rabbitmq_url: str,
    stack: Stack,
    ours: Authority,
    stranger: Authority,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    login = urlsplit(rabbitmq_url).netloc.rpartition("@")[0]
    with tls_front(stack.rabbitmq.port, ours) as port:

        def address(ca: Path) -> str:
            return f"amqps://{login}@localhost:{port}/%2F?ssl_options={quote(str({'ca_certs': str(ca)}))}"

        monkeypatch.setenv("RABBITMQ_URL", address(ours.ca))
        (settings,) = load(BrokerSettings)
        url = settings.rabbitmq_url.get_secret_value()
        topology.declare(url)
        publisher = Publisher(url)
        publisher.publish([Outgoing("", "charges", "m1", b"x")])
        publisher.close()
        assert topology.depths(url)["charges"] == 1

        with pytest.raises(SystemExit) as left:
            topology.declare_when_reachable(address(stranger.ca))
        assert left.value.code == EX_CONFIG
        assert "TLS to the broker fails: CERTIFICATE_VERIFY_FAILED" in capsys.readouterr().err


def test_the_cache_is_reached_over_tls_and_a_strangers_certificate_is_refused(
    stack: Stack, ours: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = urlsplit(stack.valkey.url).netloc.rpartition("@")[0]
    with tls_front(stack.valkey.port, ours) as port:
        monkeypatch.setenv("REDIS_URL", f"rediss://{login}@localhost:{port}/0?ssl_ca_certs={ours.ca}")
        (settings,) = load(CacheSettings)
        assert redis.Redis.from_url(settings.client_url).ping()

        wrong = settings.client_url.replace(str(ours.ca), str(stranger.ca))
        with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
            redis.Redis.from_url(wrong).ping()
