"""Whether what a process depends on answers: the checks behind its health page (outbox/process/health.py)."""

from db.session import Database
from messages.runtime.cache import CacheSettings
from outbox.broker import topology
from outbox.broker.settings import BrokerSettings
from outbox.process.health import Check, said_no


def database_check(db: Database) -> Check:
    def check() -> bool:
        try:
            db.wait_until_reachable(seconds=2)
        except Exception as error:  # noqa: BLE001  whatever it was, the answer is no
            return said_no("database", error)
        return True

    return check


def broker_check(settings: BrokerSettings) -> Check:
    return lambda: topology.is_reachable(settings.rabbitmq_url.get_secret_value())


def cache_check(settings: CacheSettings) -> Check:
    import redis  # noqa: PLC0415  a tenth of the start of a process, and most have no use for it

    def check() -> bool:
        try:
            with redis.Redis.from_url(settings.client_url, socket_timeout=2, socket_connect_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError as error:
            return said_no("cache", error)

    return check
