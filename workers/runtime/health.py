"""Health and metrics of a family of workers, from a fork of its own beside them (dramatiq's --fork-function).

It reads the beats of the siblings from shared memory, asks the dependencies over connections of its own, and Stripe by
the cheapest call there is, at most every half minute however often it is asked. While the family drains it goes on
answering, not ready but live, until the last worker has ended.
"""

import os
import signal
import threading

from loguru import logger

from db.session import Database
from db.settings import DatabaseSettings
from messages.runtime.cache import CacheSettings
from messages.runtime.settings import load
from messages.verdicts import Verdict
from outbox.broker.settings import BrokerSettings
from outbox.monitoring.checks import broker_check, cache_check, database_check
from outbox.process.health import CachedCheck, Check, Health, HealthSettings, serve_health
from outbox.process.logs import configure_logs
from stripe_client.balance import read_balance
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings

STRIPE_SECONDS = 30.0
STRIPE_PATIENCE_SECONDS = 10.0


def serve() -> None:
    """Until the family has ended."""
    database, broker, cache, stripe, health = load(
        DatabaseSettings, BrokerSettings, CacheSettings, StripeSettings, HealthSettings
    )
    configure_logs(database.app_env, "workers-health")
    db = Database(database.model_copy(update={"database_pool_size": 2}), application="fleet-workers-health")
    checks: dict[str, Check] = {
        "db": database_check(db),
        "redis": cache_check(cache),
        "broker": broker_check(broker),
        "stripe": CachedCheck(stripe_check(Gateway(stripe)), STRIPE_SECONDS, STRIPE_PATIENCE_SECONDS),
    }
    told = Health("workers", checks, ("db", "broker"))
    ended = threading.Event()

    def asked_to_stop(_number: int, _frame: object) -> None:
        """Once by the parent as to all; a second time when the workers have ended."""
        if told.stopping.is_set():
            ended.set()
        told.stopping.set()

    signal.signal(signal.SIGTERM, asked_to_stop)
    parent = os.getppid()
    serve_health(health, told)
    while not ended.wait(1.0):
        if os.getppid() != parent:  # it was killed, and nobody tells us
            break
    db.close()


def stripe_check(gateway: Gateway) -> Check:
    """True when Stripe answers our key."""

    def check() -> bool:
        try:
            read_balance(gateway)
        except Verdict as error:
            logger.warning("health check of Stripe failed: {}", error)
            return False
        return True

    return check
