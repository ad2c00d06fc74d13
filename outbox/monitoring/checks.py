"""Checks of the dependencies of a process, for its health page (outbox/process/health.py).

Each returns a function that asks once, within about two seconds (a broker: for each node), and answers False instead of
raising. Caching, and a limit for a dependency that never answers, are the health page's (CachedCheck).
"""

from db.session import Database
from messages.runtime.cache import CacheSettings
from outbox.broker import topology
from outbox.broker.settings import BrokerSettings
from outbox.process.health import Check, said_no


def database_check(db: Database) -> Check:
    """True when a statement runs on the primary; a standby that can only be read counts as down."""

    def check() -> bool:
        try:
            db.wait_until_reachable(seconds=2)
        except Exception as error:  # noqa: BLE001  whatever it was, the answer is no
            return said_no("database", error)
        return True

    return check


def broker_check(settings: BrokerSettings) -> Check:
    """True when a node of the broker opens a connection; it says nothing about queues."""
    return lambda: topology.is_reachable(settings.rabbitmq_url.get_secret_value())


def cache_check(settings: CacheSettings) -> Check:
    """True when the cache answers PING, over a new connection each time."""
    import redis  # noqa: PLC0415  a tenth of the start of a process, and most have no use for it

    def check() -> bool:
        try:
            with redis.Redis.from_url(settings.client_url, socket_timeout=2, socket_connect_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError as error:
            return said_no("cache", error)

    return check
