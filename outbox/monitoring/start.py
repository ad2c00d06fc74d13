"""What the scheduler does beside its clock when HEALTH_PORT is set: its own health, and the fleet's collector.

Broker and cache are needed here only: a scheduler without HEALTH_PORT runs with the database alone.
"""

from functools import partial

import redis
from pydantic import Field

from db.leadership import Leadership
from db.session import Database
from db.settings import DatabaseSettings
from messages.runtime.cache import CacheSettings
from messages.runtime.settings import FleetSettings, load
from outbox.broker import topology
from outbox.broker.settings import BrokerSettings
from outbox.monitoring.checks import broker_check, cache_check, database_check
from outbox.monitoring.collector import EVERY_SECONDS, MetricCollector, Part
from outbox.monitoring.gauges import parts
from outbox.monitoring.scale_signals import ScaleSignals
from outbox.monitoring.slo import levels
from outbox.process.run import Process


class CollectorSettings(FleetSettings):
    """How often the scheduler that leads takes the gauges, and what the service levels promise."""

    collect_seconds: float = Field(
        default=EVERY_SECONDS, gt=0, description="seconds between two readings of the fleet's gauges"
    )
    collect_ledger_seconds: float = Field(
        default=300.0, gt=0, description="seconds between two sums of the whole ledger, which must be zero"
    )
    slo_payment_seconds: float = Field(
        default=300.0,
        gt=0,
        description="service level: seconds within which the bank answers a payment, or the buyer must act",
    )
    slo_refund_seconds: float = Field(
        default=3_600.0, gt=0, description="service level: seconds within which Stripe accepts a refund"
    )


def watch(process: Process, settings: DatabaseSettings, db: Database) -> None:
    """Start health page and collector on daemon threads. Without HEALTH_PORT nothing could read them, so do nothing.

    `db` is the scheduler's pool, which the collector shares; its leadership has a connection of its own.

    Raises:
        SettingsError: a setting of the collector is missing or wrong.
        SystemExit: the port is taken.
    """
    if process.health_settings.health_port is None:
        return
    broker, cache, pace = load(BrokerSettings, CacheSettings, CollectorSettings)
    client = redis.Redis.from_url(cache.client_url, socket_timeout=2, socket_connect_timeout=2)
    depths = partial(topology.depths, broker.rabbitmq_url.get_secret_value())
    picture: list[Part] = [
        ScaleSignals(db, depths, client),
        *parts(db, ledger_seconds=pace.collect_ledger_seconds),
        *levels(db, payment_seconds=pace.slo_payment_seconds, refund_seconds=pace.slo_refund_seconds),
    ]
    collecting = MetricCollector(Leadership(settings, "collector"), picture, every_seconds=pace.collect_seconds)
    collecting.stopping = process.stopping
    checks = {"db": database_check(db), "redis": cache_check(cache), "broker": broker_check(broker)}
    process.serve_health(checks, ("db",), more=[collecting])
    collecting.start()
