"""The intake against a bare commit of two rows: one event at a time, and in batches of a hundred."""

import psycopg

from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.bench import backlog, cpu, orders
from deploy.local.bench.cpu import Meter
from deploy.local.bench.ground import Book, Ground, register_tenant
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome

_TABLES = """
    CREATE TABLE bench_intents (intent_id uuid PRIMARY KEY DEFAULT uuidv7(), amount_minor bigint NOT NULL);
    CREATE TABLE bench_outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, intent_id uuid NOT NULL, body bytea NOT NULL)
"""
_TWO_ROWS = """
    WITH intent AS (INSERT INTO bench_intents (amount_minor) VALUES (4200) RETURNING intent_id)
    INSERT INTO bench_outbox (intent_id, body) SELECT intent_id, %(body)s FROM intent
"""
BATCH = 100


def measure(ground: Ground) -> None:
    single, bare, batches = (200, 500, 5) if ground.quick else (1_000, 3_000, 30)
    with ground.book() as book, book.opened() as db, book.owner() as owner:
        tenant = register_tenant(book)
        owner.execute(_TABLES)
        for position in range(ground.passes + 1):
            bare_rate = _bare(owner, bare)
            single_rate, _ = _accept(ground, db, _batches(tenant, single, 1))
            batched_rate, cpu_ms = _accept(ground, db, _batches(tenant, batches * BATCH, BATCH))
            _empty_outbox(book)
            if position > 0:  # the first warms connections and statements
                _note(ground, bare_rate, single_rate, batched_rate, cpu_ms)


def _bare(owner: psycopg.Connection[tuple[object, ...]], count: int) -> float:
    meter = Meter()
    with meter.running():
        for _ in range(count):
            owner.execute(_TWO_ROWS, {"body": backlog.BODY})
    return count / meter.seconds


def _batches(tenant: Tenant, count: int, size: int) -> list[list[IncomingEvent]]:
    incoming = [IncomingEvent(body) for body in orders.events(tenant, count)]
    return [incoming[start : start + size] for start in range(0, count, size)]


def _accept(ground: Ground, db: Database, batches: list[list[IncomingEvent]]) -> tuple[float, float]:
    """Orders a second, and the CPU ms of client and PostgreSQL per order."""
    count = sum(map(len, batches))
    meter = Meter(client=cpu.own_seconds, postgres=ground.postgres_seconds)
    with meter.running():
        for batch in batches:
            assert set(accept(db, batch)) == {OrderOutcome.ACCEPTED}, "every order of the bench is good and new"
    return count / meter.seconds, sum(meter.cpu.values()) / count * 1e3


def _empty_outbox(book: Book) -> None:
    """No relay runs here."""
    with book.owner() as owner:
        owner.execute("TRUNCATE outbox")


def _note(ground: Ground, bare: float, single: float, batched: float, cpu_ms: float) -> None:
    add = ground.results.add
    add("bare commit of two rows", bare)
    add("intake, one by one", single)
    add("intake, batches of 100", batched)
    add("intake, one by one / bare commit", single / bare)
    add("intake, batches of 100 / bare commit", batched / bare)
    add("intake CPU, batches of 100", cpu_ms)
