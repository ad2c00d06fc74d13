"""What the scheduler does beside its clock when HEALTH_PORT is set: its own health, and the collector of the fleet."""

from functools import partial
from threading import Event

import redis

from db.leadership import Leadership
from db.session import Database
from db.settings import DatabaseSettings
from messages.cache import CacheSettings
from messages.settings import SettingsError, load, stop_the_start
from outbox import topology
from outbox.collecting import Collecting
from outbox.health import Health, HealthSettings, broker_check, cache_check, database_check, serve_health
from outbox.metrics import PAGES
from outbox.scaling import ScaleSignals
from outbox.settings import BrokerSettings


def watch(settings: DatabaseSettings, health: HealthSettings, db: Database, stopping: Event) -> None:
    """Start both, from threads that keep nobody alive. Without a port nobody could read, so nothing is collected."""
    if health.health_port is None:
        return
    try:
        broker, cache = load(BrokerSettings, CacheSettings)
    except SettingsError as error:
        stop_the_start(error)
    client = redis.Redis.from_url(cache.client_url, socket_timeout=2, socket_connect_timeout=2)
    depths = partial(topology.depths, broker.rabbitmq_url.get_secret_value())
    collecting = Collecting(Leadership(settings, "collector"), [ScaleSignals(db, depths, client)])
    collecting.stopping = stopping
    PAGES.append(collecting)
    checks = {"db": database_check(db), "redis": cache_check(cache), "broker": broker_check(broker)}
    serve_health(health, Health("scheduler", checks, ("db",), stopping))
    collecting.start()
