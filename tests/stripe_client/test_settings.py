"""The Stripe key fits the environment or the process does not start; nothing falls back to a stand-in (M10)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from db.settings import DatabaseSettings
from messages.runtime.cache import CacheSettings
from messages.runtime.settings import FleetSettings, SettingsError, load
from outbox.broker.settings import BrokerSettings
from stripe_client.settings import StripeSettings
from stripe_client.webhook_signatures import WebhookSettings

ROOT = Path(__file__).resolve().parents[2]
LIVE = "sk_live_tests12345"
TEST = "sk_test_tests12345"
# What production needs, all well; each test makes one of it wrong.
PRODUCTION = {
    "APP_ENV": "production",
    "STRIPE_SECRET_KEY": LIVE,
    "STRIPE_WEBHOOK_SECRETS": "whsec_one,whsec_two",
    "DATABASE_URL": "postgresql://fleet@db.example.com/fleet?sslmode=verify-full",
    "RABBITMQ_URL": "amqps://fleet:x@mq.example.com/",
    "REDIS_URL": "rediss://cache.example.com/0",
}


@pytest.mark.parametrize(
    ("env", "key", "starts"),
    [
        ("production", LIVE, True),
        ("production", "rk_live_tests12345", True),
        ("production", TEST, False),
        ("production", "rk_test_tests12345", False),
        ("staging", TEST, True),
        ("local", "rk_test_tests12345", True),
        ("local", LIVE, False),
        ("test", "rk_live_tests12345", False),
        ("staging", LIVE, False),
        ("test", "pk_test_tests12345", False),
        ("test", "whsec_tests12345", False),
        ("test", "", False),
        ("test", "sk_test_", False),
    ],
)
def test_production_takes_live_keys_only_and_everybody_else_refuses_them(
    monkeypatch: pytest.MonkeyPatch, env: str, key: str, starts: bool
) -> None:
    monkeypatch.setenv("APP_ENV", env)
    monkeypatch.setenv("STRIPE_SECRET_KEY", key)
    monkeypatch.delenv("STRIPE_API_BASE", raising=False)

    assert problems(StripeSettings) == [] if starts else problems(StripeSettings) != []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("STRIPE_API_BASE", "http://127.0.0.1:1", "STRIPE_API_BASE is set: production talks to Stripe itself"),
        ("STRIPE_WEBHOOK_SECRETS", "", "STRIPE_WEBHOOK_SECRETS is empty"),
        ("STRIPE_WEBHOOK_SECRETS", f"whsec_one,{LIVE}", "every secret starts with whsec_"),
        ("DATABASE_URL", "postgresql://fleet@db.example.com/fleet", "DATABASE_URL: production needs TLS"),
        ("DATABASE_URL", "mysql://fleet@db.example.com/fleet", "DATABASE_URL: the address must start with postgres"),
        ("RABBITMQ_URL", "amqp://fleet:x@mq.example.com/", "RABBITMQ_URL: production needs TLS"),
        ("REDIS_URL", "redis://cache.example.com/0", "REDIS_URL: production needs TLS"),
        ("FLEET_CRASH_POINTS", "/tmp/points", "FLEET_CRASH_POINTS is set"),  # noqa: S108  never opened
        ("APP_ENV", "prod", "APP_ENV"),
    ],
)
def test_production_refuses_to_start_with_one_clear_sentence(
    production: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)

    assert any(sentence in problem for problem in all_problems())


def test_production_starts_when_everything_is_there(production: None) -> None:
    assert all_problems() == []


@pytest.mark.parametrize("name", sorted(PRODUCTION))
def test_nothing_that_is_missing_has_a_stand_in(production: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)

    assert any(problem.startswith(f"{name} is not set") for problem in all_problems())


def test_all_problems_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PRODUCTION:
        monkeypatch.delenv(name, raising=False)

    assert {problem.split()[0] for problem in all_problems()} == set(PRODUCTION)


def test_a_loopback_address_needs_no_tls_even_in_production(production: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqp://fleet:x@127.0.0.1:5672/")

    assert all_problems() == []


def test_a_key_is_never_shown(production: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", TEST)

    with pytest.raises(ValidationError) as wrong:
        StripeSettings()  # type: ignore[call-arg]

    assert TEST not in str(wrong.value) + "".join(all_problems())


@pytest.mark.parametrize("process", ["outbox.intake.http", "outbox.intake.amqp", "outbox.relay", "outbox.scheduler"])
def test_a_process_without_settings_ends_with_78_and_says_all_of_it(process: str) -> None:
    bare = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}

    command = [sys.executable, "-m", process]
    ended = subprocess.run(command, env=bare, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 78
    assert "APP_ENV is not set" in ended.stderr
    assert "DATABASE_URL is not set" in ended.stderr
    if process == "outbox.intake.http":
        assert "STRIPE_WEBHOOK_SECRETS is not set" in ended.stderr
        assert "STRIPE_SECRET_KEY" not in ended.stderr  # the public door must not even want it


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRIPE_API_BASE", "FLEET_CRASH_POINTS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)


def all_problems() -> list[str]:
    found: dict[str, None] = {}
    for settings in (StripeSettings, WebhookSettings, DatabaseSettings, BrokerSettings, CacheSettings):
        found.update(dict.fromkeys(problems(settings)))
    return list(found)


def problems(settings: type[FleetSettings]) -> list[str]:
    try:
        load(settings)
    except SettingsError as error:
        return error.problems
    return []
