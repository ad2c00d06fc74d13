"""Series: an event on the chain, its wanted royalty, and the royalty last read there.

`wanted_royalty` is the one place that says which royalty an event should have. Today it is the venue's.
"""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import TenantId, VenueId

# One royalty for all events of a venue. A rule for single events replaces these two columns, here and nowhere else.
_WANTED: LiteralString = """
    SELECT m.tenant_id, m.venue_id,
           CASE WHEN m.royalty_basis_points > 0 THEN m.royalty_receiver::text END AS receiver,
           m.royalty_basis_points AS basis_points
    FROM mint_settings m
"""


@dataclass(frozen=True, slots=True)
class Royalty:
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
    def wanted(self) -> Royalty:
        return Royalty(self.wanted_receiver, self.wanted_basis_points)


def wanted_royalty(tx: Tx, venue_id: VenueId) -> Royalty:
    """What resales of this venue's tickets should give; in the tenant's transaction."""
    row = tx.execute(
        "SELECT receiver, basis_points FROM (" + _WANTED + ") wanted WHERE venue_id = %(venue_id)s",
        {"venue_id": venue_id},
    ).fetchone()
    return Royalty(row[0], row[1]) if row else Royalty(None, 0)


def ensure(tx: Tx, *, event_id: UUID, venue_id: VenueId, series: str) -> None:
    """Write the event's series, once."""
    royalty = wanted_royalty(tx, venue_id)
    tx.execute(
        """
        INSERT INTO series (tenant_id, event_id, venue_id, series, wanted_receiver, wanted_basis_points)
        VALUES (current_tenant(), %(event_id)s, %(venue_id)s, %(series)s, %(receiver)s, %(basis_points)s)
        ON CONFLICT (tenant_id, event_id) DO NOTHING
        """,
        {
            "event_id": event_id,
            "venue_id": venue_id,
            "series": series,
            "receiver": royalty.receiver,
            "basis_points": royalty.basis_points,
        },
    )


def renew_wishes(tx: Tx) -> int:
    """Take over royalties that were changed since; needs a system transaction. Returns how many events differ now."""
    return tx.execute(
        """
        UPDATE series s SET wanted_receiver = w.receiver, wanted_basis_points = w.basis_points
        FROM ("""
        + _WANTED
        + """) w
        WHERE (s.tenant_id, s.venue_id) = (w.tenant_id, w.venue_id)
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


def note_read(tx: Tx, series: str, royalty: Royalty) -> None:
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
