"""M10: a wrong setting stops the start, with every problem said at once."""

import subprocess
import sys

import pytest
from pydantic import Field, SecretStr, field_validator

from db.settings import require_postgres_tls
from messages.runtime.settings import (
    EX_CONFIG,
    AppEnv,
    FleetSettings,
    SettingsError,
    is_loopback_host,
    load,
    require_address,
    require_tls,
)


class BrokerSettings(FleetSettings):
    rabbitmq_url: str = Field(description="amqp://user:password@host:5672/vhost")

    @field_validator("rabbitmq_url")
    @classmethod
    def _is_amqp(cls, url: str) -> str:
        return require_address(url, ["amqp", "amqps"])


class KeySettings(FleetSettings):
    stripe_secret_key: SecretStr = Field(description="the key from the dashboard")


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APP_ENV", "RABBITMQ_URL", "STRIPE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_all_problems_of_all_classes_are_said_at_once_and_each_once() -> None:
    with pytest.raises(SettingsError) as refused:
        load(BrokerSettings, KeySettings)

    assert refused.value.problems == [
        "APP_ENV is not set: set it to local, test, staging or production.",
        "RABBITMQ_URL is not set: amqp://user:password@host:5672/vhost.",
        "STRIPE_SECRET_KEY is not set: the key from the dashboard.",
    ]


def test_a_wrong_value_is_said_with_what_to_set_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "prod")
    monkeypatch.setenv("RABBITMQ_URL", "http://fleet:hunter2@broker")

    with pytest.raises(SettingsError) as refused:
        load(BrokerSettings)

    assert len(refused.value.problems) == 2
    assert "RABBITMQ_URL: the address must start with amqp:// or amqps://" in str(refused.value)


def test_half_a_password_where_the_port_should_be_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="its port is no number") as refused:
        require_address("amqp://fleet:half/ofit@broker:5672/", ["amqp"])

    assert "half" not in str(refused.value)
    for good in (
        "postgresql://fleet:w@one:5432,two:5433/fleet",
        "postgresql:///fleet?host=/run",
        "amqp://u:w@[::1]:5672/",
    ):
        assert require_address(good, ["postgresql", "amqp"]) == good
    assert "hunter2" not in str(refused.value)


def test_good_settings_come_back_in_the_order_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.setenv("RABBITMQ_URL", "amqps://broker")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_x")

    broker, key = load(BrokerSettings, KeySettings)

    assert (broker.app_env, broker.in_production, broker.rabbitmq_url) == (AppEnv.PRODUCTION, True, "amqps://broker")
    assert "sk_live_x" not in repr(key)


def test_a_process_that_cannot_start_leaves_with_78_and_says_why() -> None:
    program = (
        "from messages.runtime.settings import *\n"
        "try: load(FleetSettings)\n"
        "except SettingsError as error: stop_the_start(error)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=False)

    assert done.returncode == EX_CONFIG == 78
    assert done.stderr == (
        "This process cannot start:\n  - APP_ENV is not set: set it to local, test, staging or production.\n"
    )


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("/var/run/postgresql", True),
        ("", True),
        ("database.example.com", False),
        ("198.51.100.7", False),
    ],
)
def test_loopback_is_what_only_this_machine_can_reach(host: str, loopback: bool) -> None:
    assert is_loopback_host(host) is loopback


def test_what_crosses_a_network_must_be_encrypted() -> None:
    with pytest.raises(ValueError, match="use amqps://"):
        require_tls("amqp://broker.example.com", ["amqps"])

    require_tls("amqps://broker.example.com", ["amqps"])
    require_tls("amqp://localhost", ["amqps"])


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://fleet@database.example.com/fleet",
        "postgresql://fleet@database.example.com/fleet?sslmode=prefer",
        "postgresql:///fleet?host=database.example.com",
        "postgresql:///fleet?hostaddr=198.51.100.7",
        "postgresql://fleet@localhost,database.example.com/fleet",
    ],
)
def test_a_database_across_a_network_must_prove_who_it_is(url: str) -> None:
    with pytest.raises(ValueError, match="sslmode=verify-full"):
        require_postgres_tls("DATABASE_URL", SecretStr(url))

    require_postgres_tls("DATABASE_URL", SecretStr("postgresql://db.example.com/fleet?sslmode=verify-full"))
