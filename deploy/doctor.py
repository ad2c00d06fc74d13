"""`fleet doctor`: checks every setting, connection and queue, and says how to fix what fails.

Read-only: it declares and changes nothing. Exit code 0 when every check passes, 1 otherwise.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pika
import psycopg
import redis
from pika.exceptions import AMQPError, ChannelClosedByBroker
from rich.table import Table

from db import migrate
from db.settings import DatabaseSettings, MigrationSettings
from deploy.report import wide_console
from messages.queues import DEAD_LETTER_QUEUE
from messages.runtime.cache import CacheSettings
from messages.runtime.settings import FleetSettings, SettingsError, load
from messages.verdicts import Verdict
from outbox.broker import topology
from outbox.broker.settings import BrokerSettings, HttpSettings
from outbox.broker.urls import nodes
from outbox.intake.api.jwks import IssuerAwayError, PublishedKeys
from outbox.intake.api.settings import ApiSettings
from outbox.ops.console.settings import ConsoleSettings
from stripe_client.balance import read_balance
from stripe_client.gateway import Gateway
from stripe_client.settings import BudgetSettings, StripeSettings
from stripe_client.webhook_signatures import WebhookSettings
from workers.minting.settings import ChainSettings
from workers.runtime.settings import PERIODIC_SETTINGS

_SETTINGS: tuple[type[FleetSettings], ...] = (
    DatabaseSettings,
    MigrationSettings,
    BrokerSettings,
    CacheSettings,
    HttpSettings,
    ConsoleSettings,
    ApiSettings,
    StripeSettings,
    BudgetSettings,
    WebhookSettings,
    ChainSettings,
    *PERIODIC_SETTINGS,
)


@dataclass(frozen=True, slots=True)
class DoctorResult:
    """One row of the table. `advice` says how to fix it; it is empty when the check passed."""

    what: str
    found: str
    advice: str = ""

    @property
    def well(self) -> bool:
        return not self.advice


def doctor() -> int:
    findings = [*_settings(), *_database(), *_broker(), *_cache(), *_api(), *_stripe()]
    table = Table(title="fleet doctor", title_justify="left")
    for column in ("", "check", "result", "how to fix"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        mark = "[green]ok[/]" if finding.well else "[red]fail[/]"
        table.add_row(mark, finding.what, finding.found, finding.advice)
    wide_console().print(table)
    return 0 if all(finding.well for finding in findings) else 1


def _settings() -> Iterator[DoctorResult]:
    try:
        load(*_SETTINGS)
    except SettingsError as error:
        for problem in error.problems:
            said, separator, advice = problem.partition(": ")
            yield DoctorResult("setting", said if separator else "invalid", advice or said)
    else:
        yield DoctorResult("settings", f"{len(_SETTINGS)} groups, complete")


def _database() -> Iterator[DoctorResult]:
    try:
        database, owner = load(DatabaseSettings, MigrationSettings)
    except SettingsError:
        return
    yield _tried("database, role fleet", lambda: _log_in(database.database_url.get_secret_value()))
    yield _tried("database, schema", lambda: _schema(owner.migration_database_url.get_secret_value()))


def _log_in(url: str) -> DoctorResult:
    with psycopg.connect(url, connect_timeout=3) as connection:
        version = connection.info.server_version // 10000
        roles = "SELECT pg_has_role('fleet_tenant', 'SET') AND pg_has_role('fleet_system', 'SET')"
        row = connection.execute(roles).fetchone()
        bypass = connection.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        above = bypass.fetchone()
    what = "database, role fleet"
    if version < 18:
        return DoctorResult(what, f"PostgreSQL {version}", "use PostgreSQL 18 or newer")
    if not (row and row[0]):
        return DoctorResult(what, "cannot SET ROLE fleet_tenant and fleet_system", "run db/roles.sql as a superuser")
    if above and above[0]:
        return DoctorResult(what, "this role can bypass row-level security", "log in as fleet, not as a superuser")
    return DoctorResult(what, f"PostgreSQL {version}")


def _schema(url: str) -> DoctorResult:
    with psycopg.connect(url, connect_timeout=3, autocommit=True) as connection:
        missing = migrate.pending(connection)
    if missing:
        return DoctorResult("database, schema", f"behind by {', '.join(missing)}", "run `fleet migrate`")
    return DoctorResult("database, schema", "up to date")


def _broker() -> Iterator[DoctorResult]:
    try:
        (settings,) = load(BrokerSettings)
    except SettingsError:
        return
    url = settings.rabbitmq_url.get_secret_value()
    reached = _tried("broker", lambda: _reach(url))
    yield reached
    if reached.well:
        for queue in topology.queues():
            yield _tried(f"queue {queue.name}", lambda queue=queue: _queue(url, queue))  # type: ignore[misc]


def _reach(url: str) -> DoctorResult:
    connection = pika.BlockingConnection(nodes(url))
    connection.close()
    return DoctorResult("broker", "reachable")


def _queue(url: str, queue: topology.Queue) -> DoctorResult:
    """A passive declaration first, which creates nothing; then one with our arguments, which only compares."""
    connection = pika.BlockingConnection(nodes(url))
    what = f"queue {queue.name}"
    try:
        depth = connection.channel().queue_declare(queue.name, passive=True).method.message_count
        connection.channel().queue_declare(queue.name, durable=True, arguments=queue.arguments)
    except ChannelClosedByBroker as error:
        if error.reply_code == 404:
            return DoctorResult(what, "missing", "start any process of the fleet, which declares the queues")
        return DoctorResult(
            what, "arguments differ from ours", f"drain and delete the queue, then restart: {error.reply_text}"
        )
    else:
        advice = "check that the process `dead-letters` is running" if queue.name == DEAD_LETTER_QUEUE and depth else ""
        return DoctorResult(what, f"{depth} ready", advice)
    finally:
        if connection.is_open:
            connection.close()


def _cache() -> Iterator[DoctorResult]:
    try:
        (settings,) = load(CacheSettings)
    except SettingsError:
        return
    yield _tried("cache", lambda: _ping(settings.client_url))


def _ping(url: str) -> DoctorResult:
    with redis.Redis.from_url(url, socket_timeout=3) as client:
        client.ping()
    return DoctorResult("cache", "reachable")


def _api() -> Iterator[DoctorResult]:
    """The issuer whose tokens the API accepts; a key file was already read with the settings."""
    try:
        (settings,) = load(ApiSettings)
    except SettingsError:
        return
    if settings.api_jwks_url is None:
        yield DoctorResult("API tokens", f"key of {settings.api_jwt_public_key_file}")
        return
    url = settings.api_jwks_url
    yield _tried("API tokens", lambda: DoctorResult("API tokens", f"{PublishedKeys(url).fetch()} keys at {url}"))


def _stripe() -> Iterator[DoctorResult]:
    try:
        (settings,) = load(StripeSettings)
    except SettingsError:
        return
    where = settings.stripe_api_base or "api.stripe.com"
    yield _tried("Stripe", lambda: _ask_stripe(settings, where))


def _ask_stripe(settings: StripeSettings, where: str) -> DoctorResult:
    balance = read_balance(Gateway(settings))
    mode = "live" if balance.livemode else "test"
    if balance.livemode != settings.in_production:
        return DoctorResult("Stripe", f"{where}, {mode} mode", "the key's mode does not match APP_ENV")
    return DoctorResult("Stripe", f"{where} reachable, {mode} mode")


def _tried(what: str, look: Callable[[], DoctorResult]) -> DoctorResult:
    try:
        return look()
    except (psycopg.Error, AMQPError, redis.RedisError, IssuerAwayError, Verdict, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return DoctorResult(what, "unreachable", f"check that it is running and that its address is right: {reason}")
