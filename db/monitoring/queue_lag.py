"""What waits and for how long, by destination: the signals by which workers are added and removed (KEDA).

Needs a system transaction.
"""

from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class Lag:
    """Due rows of the outbox for one queue, or for an exchange of public events."""

    destination: str
    rows: int
    oldest_seconds: float


def lags(tx: Tx) -> list[Lag]:
    """Every destination with due rows; one without any is missing, and has no lag."""
    with tx.cursor(row_factory=class_row(Lag)) as cursor:
        return cursor.execute(
            """
            SELECT coalesce(nullif(exchange, ''), routing_key) AS destination, count(*) AS rows,
                   extract(epoch FROM clock_timestamp() - min(due_at))::float8 AS oldest_seconds
            FROM outbox WHERE due_at <= clock_timestamp() GROUP BY 1
            """
        ).fetchall()


@dataclass(frozen=True, slots=True)
class RelayLag:
    """Seconds since the oldest has moved, 0 when none waits; retries not yet due and open dead letters are left out."""

    charges: float
    refunds: float
    webhooks: float


# Of a payment or refund m: no message of its own waits for its time, and no dead letter for a person.
_NOBODY_WAITS: LiteralString = """
    NOT EXISTS (SELECT FROM outbox o
                WHERE o.ordering_key = m.payment_id AND o.exchange = '' AND o.due_at > clock_timestamp())
    AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.payment_id = m.payment_id AND d.state = 'open')
"""


def standing(tx: Tx) -> RelayLag:
    """How long the messages in the broker's queues have waited, seen from the rows that they would have moved.

    The broker does not say how old its messages are.
    """
    with tx.cursor(row_factory=class_row(RelayLag)) as cursor:
        relay_lag = cursor.execute(
            """
            SELECT
                coalesce(extract(epoch FROM clock_timestamp() - (
                    SELECT state_since FROM payments m WHERE state IN ('requested', 'charging') AND """
            + _NOBODY_WAITS
            + """ ORDER BY state_since LIMIT 1)), 0)::float8 AS charges,
                coalesce(extract(epoch FROM clock_timestamp() - (
                    SELECT state_since FROM refunds m WHERE state IN ('requested', 'sending') AND """
            + _NOBODY_WAITS
            + """ ORDER BY state_since LIMIT 1)), 0)::float8 AS refunds,
                coalesce(extract(epoch FROM clock_timestamp() - (
                    SELECT min(received_at) FROM webhook_inbox WHERE state = 'pending')), 0)::float8 AS webhooks
            """
        ).fetchone()
    assert relay_lag is not None, "a SELECT of scalars always returns a row"
    return relay_lag
