"""The settings by which a sale is split: royalties, prices of resales, days in escrow, and when events end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from db.session import Tx
from messages.ids import PaymentId, VenueId
from messages.resales import ResaleRule


@dataclass(frozen=True, slots=True)
class SaleTerms:
    """What holds for one sale. `royalties` are (recipient, basis points), ordered by the recipients' ids.

    `escrow_days` None: shares are released at once, without waiting for the event.
    """

    event_id: UUID
    escrow_days: int | None
    royalties: list[tuple[UUID, int]]


def terms_of(tx: Tx, payment_id: PaymentId) -> SaleTerms:
    """The terms of a payment's sale: the royalties in force when its order was received, the venue's escrow days of
    today.

    An event that has royalties of its own for this kind of sale follows these alone; otherwise the venue's hold. A
    period begins at valid_from and ends before valid_until.
    """
    row = tx.execute(
        """
        WITH sold AS (
            SELECT p.tenant_id, p.venue_id, o.ticketed_event_id AS event_id, p.sale, o.received_at, v.escrow_days
            FROM payments p
            JOIN orders o ON (o.tenant_id, o.order_id) = (p.tenant_id, p.order_id)
            JOIN venues v ON (v.tenant_id, v.venue_id) = (p.tenant_id, p.venue_id)
            WHERE p.payment_id = %(payment_id)s
        ), valid AS (
            SELECT r.event_id, r.recipient_id, r.basis_points
            FROM royalty_settings r JOIN sold s
                ON (r.tenant_id, r.venue_id, r.sale) = (s.tenant_id, s.venue_id, s.sale)
            WHERE s.received_at >= r.valid_from AND s.received_at < r.valid_until
              AND (r.event_id = s.event_id OR r.event_id IS NULL)
        )
        SELECT s.event_id, s.escrow_days,
               coalesce((
                   SELECT jsonb_agg(jsonb_build_array(recipient_id, basis_points) ORDER BY recipient_id) FROM valid
                   WHERE (event_id IS NOT NULL) = EXISTS (SELECT FROM valid WHERE event_id IS NOT NULL)), '[]')
        FROM sold s
        """,
        {"payment_id": payment_id},
    ).fetchone()
    assert row is not None, "a payment has its order and its venue, by foreign key"
    return SaleTerms(row[0], row[1], [(UUID(recipient), points) for recipient, points in row[2]])


def resale_rules(tx: Tx, asked: Sequence[tuple[VenueId, UUID]]) -> dict[tuple[VenueId, UUID], ResaleRule]:
    """The price rule of each (venue, event), where there is one; an event's own goes before its venue's.

    Missing from the answer: no rule, so any price is allowed. Floor and ceiling are basis points of the face price.
    """
    rows = tx.execute(
        """
        SELECT DISTINCT ON (asked.venue_id, asked.event_id)
               asked.venue_id, asked.event_id, r.floor_basis_points, r.ceiling_basis_points
        FROM jsonb_to_recordset(%(asked)s) AS asked (venue_id uuid, event_id uuid)
        JOIN resale_rules r ON r.venue_id = asked.venue_id AND (r.event_id = asked.event_id OR r.event_id IS NULL)
        ORDER BY asked.venue_id, asked.event_id, r.event_id NULLS LAST
        """,
        {"asked": Jsonb([{"venue_id": str(venue), "event_id": str(event)} for venue, event in asked])},
    ).fetchall()
    return {(VenueId(row[0]), row[1]): ResaleRule(row[2], row[3]) for row in rows}


def schedule_events(tx: Tx, told: Sequence[dict[str, Any]], *, overrule: bool) -> int:
    """Store when events end (event_id, venue_id, ends_at). Returns how many rows were new or changed.

    `overrule` replaces what is stored. An order only says what was known when it was placed, so it must not; a message
    about the event itself does (M18).
    """
    return tx.execute(
        """
        INSERT INTO events (tenant_id, event_id, venue_id, ends_at)
        SELECT DISTINCT ON (event_id) current_tenant(), event_id, venue_id, ends_at
        FROM jsonb_to_recordset(%(told)s) AS told (event_id uuid, venue_id uuid, ends_at timestamptz)
        ORDER BY event_id
        ON CONFLICT (tenant_id, event_id) DO UPDATE
        SET ends_at = excluded.ends_at, told_at = clock_timestamp()
        WHERE %(overrule)s AND events.ends_at <> excluded.ends_at
        """,
        {"told": Jsonb(list(told)), "overrule": overrule},
    ).rowcount


def ends_at(tx: Tx, event_id: UUID) -> datetime | None:
    """When an event is over; None while nobody has said so."""
    row = tx.execute("SELECT ends_at FROM events WHERE event_id = %(id)s", {"id": event_id}).fetchone()
    ends: datetime | None = row[0] if row else None
    return ends
