"""Published events: the relay keeps each as it settles its row (db/queue/outbox.py); they are republished from here."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx, ring_after_commit


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Events that the broker confirmed in [since, until); None leaves a condition out.

    `subject_id` is what the event is about (a payment, a group ...), `kind` its type.
    """

    since: datetime
    until: datetime
    subject_id: UUID | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class PublishedCount:
    """How many of one type, and when the first and the last of them were confirmed."""

    kind: str
    number: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a batch ended: the time of confirmation, and the outbox id that orders events of one time."""

    told_at: datetime
    place: int


def summary(tx: Tx, which: EventFilter) -> list[PublishedCount]:
    """What these conditions select, by type: to be seen by the operator before anything is sent again."""
    with tx.cursor(row_factory=class_row(PublishedCount)) as cursor:
        return cursor.execute(
            """
            SELECT kind, count(*) AS number, min(told_at) AS first_at, max(told_at) AS last_at
            FROM told_events
            WHERE told_at >= %(since)s AND told_at < %(until)s
              AND subject_id = coalesce(%(subject_id)s, subject_id) AND kind = coalesce(%(kind)s, kind)
            GROUP BY kind ORDER BY kind
            """,
            _values(which),
        ).fetchall()


def append_again(tx: Tx, which: EventFilter, *, after: Cursor | None, at_most: int) -> tuple[int, Cursor | None]:
    """Append the next of them, in the order in which they were published; returns how many, and where the batch ended.

    They are the same bytes under the same ids, so a consumer that has them knows them. One that is in the outbox again
    already is not appended twice. 0 and None: there are no more.
    """
    ring_after_commit()
    row = tx.execute(
        """
        WITH batch AS (
            SELECT tenant_id, message_id, kind, subject_id, told_at, place, body
            FROM told_events
            WHERE told_at >= %(since)s AND told_at < %(until)s
              AND (told_at, place) > (coalesce(%(after_at)s, '-infinity'::timestamptz), %(after_place)s)
              AND subject_id = coalesce(%(subject_id)s, subject_id) AND kind = coalesce(%(kind)s, kind)
            ORDER BY told_at, place
            LIMIT %(at_most)s
        ), queued AS (
            INSERT INTO outbox (tenant_id, message_id, kind, exchange, routing_key, ordering_key, lane, body)
            SELECT tenant_id, message_id, kind, 'payments', kind, subject_id,
                   get_byte(uuid_send(subject_id), 15) & 7, body
            FROM batch b
            WHERE NOT EXISTS (
                SELECT FROM outbox o WHERE o.ordering_key = b.subject_id AND o.message_id = b.message_id)
            ORDER BY told_at, place
        )
        SELECT count(*), max(told_at), (SELECT place FROM batch ORDER BY told_at DESC, place DESC LIMIT 1) FROM batch
        """,
        _values(which)
        | {
            "after_at": after.told_at if after else None,
            "after_place": after.place if after else 0,
            "at_most": at_most,
        },
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row[0]), Cursor(row[1], row[2]) if row[0] else None


def _values(which: EventFilter) -> dict[str, object]:
    return {
        "since": which.since,
        "until": which.until,
        "subject_id": which.subject_id,
        "kind": which.kind,
    }
