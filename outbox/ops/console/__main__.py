"""The process `console`: settings, then pages until it is told to stop."""

import functools

from db.session import Database
from db.settings import DatabaseSettings
from messages.runtime.cache import CacheSettings
from messages.runtime.settings import AppEnv, SettingsError, load, stop_the_start
from outbox.broker import topology
from outbox.broker.settings import BrokerSettings
from outbox.monitoring.health import Health, HealthSettings, broker_check, cache_check, database_check, serve_health
from outbox.ops.console.app import app
from outbox.ops.console.auth.csrf import CsrfProtection
from outbox.ops.console.auth.login import Login, read_users
from outbox.ops.console.auth.tokens import Authenticator
from outbox.ops.console.rendering import environment
from outbox.ops.console.sampler import Sampler
from outbox.ops.console.settings import ConsoleSettings
from outbox.ops.console.visit import Services
from outbox.ops.session import OpsSettings
from outbox.process.http_server import listen
from outbox.process.logs import configure_logs
from outbox.process.shutdown import leave_while_starting
from outbox.sealing import Sealer, SealSettings
from stripe_client.rate_limit.shared_budget import SharedBudget


def main() -> None:
    leave_while_starting()
    try:
        load(ConsoleSettings, DatabaseSettings, BrokerSettings, OpsSettings, SealSettings, CacheSettings)
        console, database, broker, ops, seal = load(
            ConsoleSettings, DatabaseSettings, BrokerSettings, OpsSettings, SealSettings
        )
        cache, health = load(CacheSettings, HealthSettings)
        doorman = doorman_of(console)
    except SettingsError as error:
        stop_the_start(error)
    configure_logs(console.app_env, "console")
    db = Database(database, application="fleet-console")
    watch = Sampler(db, functools.partial(topology.depths, broker.rabbitmq_url.get_secret_value()))
    gatekeeper, budget = Authenticator(console), SharedBudget.at(cache.client_url)
    room = Services(
        db, ops, Sealer(seal), gatekeeper, CsrfProtection(gatekeeper), watch, environment(), doorman, budget.look
    )
    watch.start()
    checks = {"db": database_check(db), "redis": cache_check(cache), "broker": broker_check(broker)}
    told = Health("console", checks, ("db",))
    serve_health(health, told)
    pages = app(room, console.app_env)
    host, port = console.console_host, console.console_port
    listen(pages, "console", told.stopping, host=host, port=port)
    watch.stop()
    db.close()


def doorman_of(settings: ConsoleSettings) -> Login | None:
    """The login form's people, where there is one.

    Raises:
        SettingsError: the users file cannot be read.
    """
    if settings.app_env is not AppEnv.LOCAL or settings.console_users_file is None:
        return None
    try:
        return Login(read_users(settings.console_users_file), settings)
    except ValueError as error:
        raise SettingsError([f"CONSOLE_USERS_FILE: {error}."]) from None


if __name__ == "__main__":
    main()
