"""A secret may come from a file that the platform mounts, and then from nowhere else."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from db.settings import DatabaseSettings, MigrationSettings
from messages.runtime.cache import CacheSettings
from messages.runtime.secret_files import LARGEST_SECRET_BYTES, names_of_secrets
from messages.runtime.settings import FleetSettings, SettingsError, load
from outbox.broker.settings import BrokerSettings
from outbox.sealing import OpenSettings
from stripe_client.settings import StripeSettings
from stripe_client.webhook_signatures import WebhookSettings

WITH_SECRETS: list[type[FleetSettings]] = [
    *(DatabaseSettings, MigrationSettings, BrokerSettings, CacheSettings),
    *(OpenSettings, StripeSettings, WebhookSettings),
]


@pytest.fixture(autouse=True)
def _only_what_the_test_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in WITH_SECRETS:
        for name in names_of_secrets(settings):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.setenv("APP_ENV", "test")


def test_every_secret_has_a_second_name_for_a_file() -> None:
    assert {name for settings in WITH_SECRETS for name in names_of_secrets(settings)} == {
        *("DATABASE_URL", "MIGRATION_DATABASE_URL", "RABBITMQ_URL", "REDIS_URL"),
        *("DEAD_LETTER_PRIVATE_KEY", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS"),
    }


def test_a_secret_is_read_from_its_file_without_the_line_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _point(monkeypatch, "STRIPE_SECRET_KEY", tmp_path, "sk_test_fromAFile1\n")

    (stripe,) = load(StripeSettings)

    assert stripe.stripe_secret_key == SecretStr("sk_test_fromAFile1")


def test_a_list_of_secrets_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _point(monkeypatch, "STRIPE_WEBHOOK_SECRETS", tmp_path, "whsec_first12345,whsec_second1234")

    (webhooks,) = load(WebhookSettings)

    assert [each.get_secret_value() for each in webhooks.stripe_webhook_secrets] == [
        *("whsec_first12345", "whsec_second1234")
    ]


def test_a_secret_with_both_names_stops_the_start_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _point(monkeypatch, "DATABASE_URL", tmp_path, "postgresql://fleet:hunter2@host/fleet")
    monkeypatch.setenv("DATABASE_URL", "postgresql://fleet:hunter3@host/fleet")

    with pytest.raises(SettingsError) as refused:
        load(DatabaseSettings)

    assert refused.value.problems == ["DATABASE_URL and DATABASE_URL_FILE are both set: unset one of them."]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "is no text"),
        (b"x" * (LARGEST_SECRET_BYTES + 1), "larger than"),
    ],
)
def test_a_file_that_holds_no_secret_stops_the_start_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, said: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("RABBITMQ_URL_FILE", str(path))
    monkeypatch.setenv("REDIS_URL", "ftp://wrong")

    with pytest.raises(SettingsError) as refused:
        load(BrokerSettings, CacheSettings)

    assert len(refused.value.problems) == 2, "what else is wrong is said at the same time"
    assert refused.value.problems[0].startswith(f"RABBITMQ_URL_FILE: {path} ")
    assert said in refused.value.problems[0]


def test_the_rules_of_production_hold_for_secrets_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    _point(monkeypatch, "RABBITMQ_URL", tmp_path, "amqp://fleet:hunter2@broker.example/")

    with pytest.raises(SettingsError, match="production needs TLS") as refused:
        load(BrokerSettings)

    assert "hunter2" not in str(refused.value)


def _point(monkeypatch: pytest.MonkeyPatch, name: str, directory: Path, content: str) -> None:
    path = directory / name.lower()
    path.write_text(content)
    monkeypatch.setenv(f"{name}_FILE", str(path))
