"""What operators did, in an append-only chain: each entry's hash covers the entry and the hash before it.

The database makes the chain (migration 0004). `first_broken_link` computes every hash again; an entry that was changed,
removed or slipped in shows as the first place where the computed chain and the stored one part.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.session import Tx


@dataclass(frozen=True, slots=True)
class LogEntry:
    seq: int
    at: datetime
    operator: str
    action: str
    subject: dict[str, Any]
    reason: str


def write(tx: Tx, *, operator: str, action: str, subject: dict[str, Any], reason: str) -> None:
    """Append one entry, in the transaction of the action itself: neither exists without the other."""
    tx.execute(
        """
        INSERT INTO operator_log (operator, action, subject, reason)
        VALUES (%(operator)s, %(action)s, %(subject)s, %(reason)s)
        """,
        {"operator": operator, "action": action, "subject": Jsonb(subject), "reason": reason},
    )


def latest(tx: Tx, *, limit: int, before_seq: int | None = None) -> list[LogEntry]:
    """The newest entries first; `before_seq` pages on."""
    with tx.cursor(row_factory=class_row(LogEntry)) as cursor:
        return cursor.execute(
            """
            SELECT seq, at, operator, action, subject, reason FROM operator_log
            WHERE seq < coalesce(%(before)s::bigint, 9223372036854775807)
            ORDER BY seq DESC LIMIT %(limit)s
            """,
            {"before": before_seq, "limit": limit},
        ).fetchall()


def of_payment(tx: Tx, payment_id: object) -> list[LogEntry]:
    """Entries that concern a payment: those whose letters belong to it, and those that name it."""
    with tx.cursor(row_factory=class_row(LogEntry)) as cursor:
        return cursor.execute(
            """
            SELECT seq, at, operator, action, subject, reason FROM operator_log l
            WHERE subject ->> 'payment_id' = %(payment_id)s::text
               OR EXISTS (
                   SELECT FROM dead_letters d
                   WHERE d.payment_id = %(payment_id)s AND l.subject -> 'letters' ? d.dead_letter_id::text)
               OR EXISTS (
                   SELECT FROM replay_items i JOIN dead_letters d USING (dead_letter_id)
                   WHERE d.payment_id = %(payment_id)s AND l.subject ->> 'batch_id' = i.batch_id::text)
            ORDER BY seq
            """,
            {"payment_id": payment_id},
        ).fetchall()


def first_broken_link(tx: Tx) -> tuple[int, int | None]:
    """How many entries were walked, and the seq of the first that does not fit the chain (None: all fit)."""
    row = tx.execute(
        """
        WITH walked AS (
            SELECT seq, hash, previous_hash,
                   operator_log_hash(seq, at, operator, action, subject, reason, previous_hash) AS computed,
                   lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER (ORDER BY seq) AS hash_before,
                   row_number() OVER (ORDER BY seq) AS place
            FROM operator_log
        )
        SELECT count(*), min(seq) FILTER (WHERE hash <> computed OR previous_hash <> hash_before OR seq <> place)
        FROM walked
        """
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row[0]), row[1]


def hash_at(tx: Tx, seq: int) -> str | None:
    """The hash of one entry as hexadecimal digits; None when there is no such entry."""
    row = tx.execute("SELECT encode(hash, 'hex') FROM operator_log WHERE seq = %(seq)s", {"seq": seq}).fetchone()
    return row[0] if row else None
