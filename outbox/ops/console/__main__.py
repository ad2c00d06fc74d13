"""The `console` process: load the settings, then serve pages until SIGTERM."""

from functools import partial

from db.settings import DatabaseSettings
from messages.runtime.cache import CacheSettings
from messages.runtime.settings import AppEnv, SettingsError
from outbox.broker import topology
from outbox.broker.settings import BrokerSettings
from outbox.monitoring.checks import broker_check, cache_check, database_check
from outbox.ops.console.app import app
from outbox.ops.console.auth.csrf import CsrfProtection
from outbox.ops.console.auth.login import Login, read_users
from outbox.ops.console.auth.tokens import Authenticator
from outbox.ops.console.rendering import environment
from outbox.ops.console.request_context import Services
from outbox.ops.console.sampler import Sampler
from outbox.ops.console.settings import ConsoleSettings
from outbox.ops.session import OpsSettings
from outbox.process.http_server import listen
from outbox.process.run import Process, Program, Work
from outbox.sealing import Sealer, SealSettings
from stripe_client.rate_limit.shared_budget import SharedBudget


def _console(
    process: Process,
    console: ConsoleSettings,
    database: DatabaseSettings,
    broker: BrokerSettings,
    ops: OpsSettings,
    seal: SealSettings,
    cache: CacheSettings,
) -> Work:
    login = login_of(console)
    db = process.database(database)
    sampler = Sampler(db, partial(topology.depths, broker.rabbitmq_url.get_secret_value()))
    authenticator, budget = Authenticator(console), SharedBudget.at(cache.client_url)
    services = Services(
        db, ops, Sealer(seal), authenticator, CsrfProtection(authenticator), sampler, environment(), login, budget.look
    )
    sampler.start()
    process.closing.callback(sampler.stop)
    checks = {"db": database_check(db), "redis": cache_check(cache), "broker": broker_check(broker)}
    process.serve_health(checks, ("db",))
    pages, host, port = app(services, console.app_env), console.console_host, console.console_port
    return partial(listen, pages, process.name, process.stopping, host=host, port=port)


def main() -> None:
    """The `console` process. Exit codes: 0 stopped, 69 the address is taken, 75 held up while stopping, 78 wrong
    settings.
    """
    settings = (ConsoleSettings, DatabaseSettings, BrokerSettings, OpsSettings, SealSettings, CacheSettings)
    Program("console", traced=False).run(settings, _console)


def login_of(settings: ConsoleSettings) -> Login | None:
    """The login form and its users; None outside APP_ENV=local, where tokens come from an identity provider.

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
