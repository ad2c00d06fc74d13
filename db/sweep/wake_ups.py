"""Waking what is stuck: what was woken is left alone for a while, each time twice as long, up to six hours.

So the sweep does not lengthen a queue that is long already, and a row that cannot move costs four messages a day. Each
domain says what is stuck (`<domain>/stuck.py`); the table `wake_ups` says when it may be woken again.
"""

from typing import Any, LiteralString, TypeVar

from psycopg.rows import kwargs_row

from db.session import Tx

Row = TypeVar("Row")

# Of a row s with its payment: no message of the payment is on its way, and no dead letter of it waits for a person.
PAYMENT_AT_REST: LiteralString = """
    NOT EXISTS (SELECT FROM outbox o WHERE o.ordering_key = s.payment_id AND o.exchange = '')
    AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.payment_id = s.payment_id AND d.state = 'open')
"""


def take(
    tx: Tx,
    row: type[Row],
    subjects: LiteralString,
    parameters: dict[str, Any] | None = None,
    *,
    older_than_seconds: float,
    limit: int,
) -> list[Row]:
    """At most `limit` rows of `subjects` that may be woken now, each marked as woken in the same transaction.

    `subjects` is a SELECT of the columns of `row` and of `subject`, a text that names each row and occurs once; it may
    use %(age)s, which is `older_than_seconds`, and `parameters`. The first pause of a subject is as long as that.

    Needs a system transaction. Two sweeps at once never take the same row.
    """
    with tx.cursor(row_factory=kwargs_row(lambda subject, **columns: row(**columns))) as cursor:
        return cursor.execute(
            "WITH stuck AS ("
            + subjects
            + """
            ), due AS (
                SELECT * FROM stuck
                WHERE NOT EXISTS (
                    SELECT FROM wake_ups w WHERE w.subject = stuck.subject AND w.not_before > clock_timestamp())
                LIMIT %(limit)s
            ), woken AS (
                INSERT INTO wake_ups AS w (subject, times, not_before)
                SELECT subject, 1, clock_timestamp() + make_interval(secs => %(age)s) FROM due
                ON CONFLICT (subject) DO UPDATE
                SET times = w.times + 1,
                    not_before = clock_timestamp() + make_interval(secs => least(%(age)s * 2 ^ w.times, 21600))
                WHERE w.not_before <= clock_timestamp()            -- else another sweep was first, after our look
                RETURNING subject
            )
            SELECT due.* FROM due JOIN woken USING (subject)
            """,
            {"age": older_than_seconds, "limit": limit} | (parameters or {}),
        ).fetchall()


def forget(tx: Tx, *, older_than_days: int) -> int:
    """Delete wake-ups whose pause ended so many days ago; returns how many.

    Their rows begin at the shortest pause
    again.
    """
    return tx.execute(
        "DELETE FROM wake_ups WHERE not_before < clock_timestamp() - make_interval(days => %(days)s)",
        {"days": older_than_days},
    ).rowcount
