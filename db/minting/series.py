"""Series: an event on the chain, its wanted royalty, and the royalty last read there.

`_WANTED` is the one place that says which royalty an event should have: the royalty settings of its resales, added up,
else what the venue says; and none while the venue names nobody who receives it on the chain.
"""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import TenantId, VenueId

_WANTED: LiteralString = """
    SELECT CASE WHEN points > 0 THEN m.royalty_receiver::text END AS receiver,
           CASE WHEN m.royalty_receiver IS NOT NULL THEN points ELSE 0 END AS basis_points
    FROM (SELECT coalesce(
        resale_royalty_points(m.tenant_id, m.venue_id, e.event_id), m.royalty_basis_points) AS points) AS due
"""


@dataclass(frozen=True, slots=True)
class ResaleRoyalty:
    """Who gets how much of a resale; no receiver means no royalty."""

    receiver: str | None
    basis_points: int


@dataclass(frozen=True, slots=True)
class Series:
    tenant_id: TenantId
    event_id: UUID
    series: str
    wanted_receiver: str | None
    wanted_basis_points: int

    @property
    def wanted(self) -> ResaleRoyalty:
        return ResaleRoyalty(self.wanted_receiver, self.wanted_basis_points)


def ensure(tx: Tx, *, event_id: UUID, venue_id: VenueId, series: str) -> None:
    """Write the event's series, once; in the tenant's transaction."""
    tx.execute(
        """
        INSERT INTO series (tenant_id, event_id, venue_id, series, wanted_receiver, wanted_basis_points)
        SELECT current_tenant(), e.event_id, %(venue_id)s, %(series)s, wanted.receiver, coalesce(wanted.basis_points, 0)
        FROM (SELECT %(event_id)s::uuid AS event_id) AS e
        LEFT JOIN mint_settings m ON m.venue_id = %(venue_id)s
        LEFT JOIN LATERAL ("""
        + _WANTED
        + """) wanted ON true
        ON CONFLICT (tenant_id, event_id) DO NOTHING
        """,
        {"event_id": event_id, "venue_id": venue_id, "series": series},
    )


def renew_wishes(tx: Tx) -> int:
    """Take over royalties that were changed since; needs a system transaction. Returns how many events differ now."""
    return tx.execute(
        """
        UPDATE series s SET wanted_receiver = w.receiver, wanted_basis_points = w.basis_points
        FROM (
            SELECT e.tenant_id, e.event_id, wanted.receiver, wanted.basis_points
            FROM series e JOIN mint_settings m USING (tenant_id, venue_id)
            CROSS JOIN LATERAL ("""
        + _WANTED
        + """) wanted
        ) w
        WHERE (s.tenant_id, s.event_id) = (w.tenant_id, w.event_id)
          AND (s.wanted_receiver, s.wanted_basis_points) IS DISTINCT FROM (w.receiver, w.basis_points)
        """
    ).rowcount


def to_look_at(tx: Tx, *, limit: int) -> list[Series]:
    """Events whose royalty on the chain was never read, or was not the wanted one; needs a system transaction."""
    with tx.cursor(row_factory=class_row(Series)) as cursor:
        return cursor.execute(
            """
            SELECT tenant_id, event_id, series, wanted_receiver, wanted_basis_points
            FROM series
            WHERE read_at IS NULL
               OR (wanted_receiver, wanted_basis_points) IS DISTINCT FROM (set_receiver, set_basis_points)
            ORDER BY event_id
            LIMIT %(limit)s
            """,
            {"limit": limit},
        ).fetchall()


def note_read(tx: Tx, series: str, royalty: ResaleRoyalty) -> None:
    """What the chain itself says the royalty is."""
    tx.execute(
        """
        UPDATE series
        SET set_receiver = %(receiver)s, set_basis_points = %(basis_points)s, read_at = clock_timestamp()
        WHERE series = %(series)s
        """,
        {"series": series, "receiver": royalty.receiver, "basis_points": royalty.basis_points},
    )


def all_series(tx: Tx) -> list[Series]:
    """Every event that mints, for the checker; needs a system transaction."""
    with tx.cursor(row_factory=class_row(Series)) as cursor:
        return cursor.execute(
            "SELECT tenant_id, event_id, series, wanted_receiver, wanted_basis_points FROM series ORDER BY series"
        ).fetchall()
