"""The service level of payments and refunds: how many were answered in time, and how many were not.

Each is judged once, when it is `within` old, by its history, so that it does not matter when we look. A payment is good
when the bank or the buyer had an answer in time (a decline is an answer), and bad when it had none, or Stripe refused
our request. A refund is good when Stripe had accepted it in time. Needs a system transaction.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class SloSample:
    """How many were judged good and bad; `until` is to be the next call's `since`, so that none is judged twice."""

    good: int
    bad: int
    until: datetime


def begin(tx: Tx, *, within_seconds: float) -> datetime:
    """The first `since`: what is older was judged before, by an earlier process."""
    row = tx.execute(
        "SELECT clock_timestamp() - make_interval(secs => %(within)s)", {"within": within_seconds}
    ).fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    now: datetime = row[0]
    return now


def payments(tx: Tx, *, since: datetime, within_seconds: float) -> SloSample:
    """Payments that became `within_seconds` old since `since`, by when they were accepted."""
    with tx.cursor(row_factory=class_row(SloSample)) as cursor:
        slo_sample = cursor.execute(
            """
            WITH edge AS MATERIALIZED (
                SELECT clock_timestamp() - make_interval(secs => %(within)s) AS until
            ), judged AS (
                SELECT EXISTS (
                    SELECT FROM payment_history a
                    WHERE (a.tenant_id, a.payment_id) = (h.tenant_id, h.payment_id)
                      AND a.at <= h.at + make_interval(secs => %(within)s)
                      AND (a.to_state IN ('succeeded', 'authorized', 'requires_action', 'processing', 'canceled')
                           OR a.to_state = 'failed' AND a.reason NOT LIKE 'refused:%%')) AS good
                FROM payment_history h, edge
                WHERE h.at > %(since)s AND h.at <= edge.until AND h.seq = 1
            )
            SELECT (SELECT count(*) FROM judged WHERE good) AS good,
                   (SELECT count(*) FROM judged WHERE NOT good) AS bad, until
            FROM edge
            """,
            {"since": since, "within": within_seconds},
        ).fetchone()
    assert slo_sample is not None, "the edge always has a row"
    return slo_sample


def refunds(tx: Tx, *, since: datetime, within_seconds: float) -> SloSample:
    """Refunds that became `within_seconds` old since `since`; those made at Stripe without us are not judged."""
    with tx.cursor(row_factory=class_row(SloSample)) as cursor:
        slo_sample = cursor.execute(
            """
            WITH edge AS MATERIALIZED (
                SELECT clock_timestamp() - make_interval(secs => %(within)s) AS until
            ), judged AS (
                SELECT EXISTS (
                    SELECT FROM refund_history a
                    WHERE (a.tenant_id, a.refund_id) = (h.tenant_id, h.refund_id)
                      AND a.at <= h.at + make_interval(secs => %(within)s)
                      AND (a.to_state IN ('pending', 'requires_action', 'succeeded', 'canceled')
                           OR a.reason IN ('charge_already_refunded', 'charge_disputed'))) AS good
                FROM refund_history h, edge
                WHERE h.at > %(since)s AND h.at <= edge.until AND h.seq = 1 AND h.to_state = 'requested'
            )
            SELECT (SELECT count(*) FROM judged WHERE good) AS good,
                   (SELECT count(*) FROM judged WHERE NOT good) AS bad, until
            FROM edge
            """,
            {"since": since, "within": within_seconds},
        ).fetchone()
    assert slo_sample is not None, "the edge always has a row"
    return slo_sample
