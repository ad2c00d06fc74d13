"""Rows for the relay: as they look when the fleet writes them, made by the database itself, a million in seconds."""

import orjson
import psycopg

from deploy.local.bench.ground import QUEUE, Book

# A `ChargeRequested` on the wire (outbox/append.py).
BODY = orjson.dumps(
    {
        "queue_name": "charges",
        "actor_name": "charge",
        "args": [],
        "kwargs": {
            "payload": {
                "tenant_id": "0193b3a5-4f6e-7c3a-9d52-0b8f6f1c2d3e",
                "payment_id": "0193b3a5-4f6e-7c3a-9d52-0b8f6f1c2d3f",
            }
        },
        "options": {
            "run": 1,
            "attempt": 1,
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "first_appended_ms": 1763888400000,
        },
        "message_id": "0193b3a5-4f6e-7c3a-9d52-0b8f6f1c2d40",
        "message_timestamp": 1763888400000,
    }
)

_FILL = """
    INSERT INTO outbox (tenant_id, message_id, kind, exchange, routing_key, ordering_key, lane, body)
    SELECT tenant, uuidv7(), 'charge', '', %(queue)s, payment, get_byte(uuid_send(payment), 15) %% 8, %(body)s
    FROM (
        SELECT '0193b3a5-4f6e-7c3a-9d52-0b8f6f1c2d3e'::uuid AS tenant, uuidv7() AS payment
        FROM generate_series(1, %(count)s)
    ) AS made
"""


def fill(book: Book, count: int, *, analyze: bool = True) -> None:
    """Append `count` due rows."""
    with book.owner() as owner:
        owner.execute(_FILL, {"queue": QUEUE, "body": BODY, "count": count})
        if analyze:
            owner.execute("VACUUM (ANALYZE) outbox")


def deliver_all(book: Book) -> None:
    """What a relay leaves behind once every row is confirmed: deleted rows, vacuumed where a snapshot allows it."""
    with book.owner() as owner:
        owner.execute("DELETE FROM outbox")
        owner.execute("VACUUM (ANALYZE) outbox")


def hold_snapshot(book: Book) -> psycopg.Connection[tuple[object, ...]]:
    """A forgotten session whose snapshot forbids vacuum to clear anything deleted from now on. Close it."""
    session = book.owner()
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    session.execute("SELECT count(*) FROM outbox_lanes")
    return session
