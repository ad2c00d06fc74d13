"""Series: an event on the chain, its wanted royalty, and the royalty last read there.

`_WANTED` is the one place that says which royalty an event should have: the royalty settings of its resales, added up,
otherwise the venue's; and none while the venue names nobody who receives it on the chain. Points are basis points.
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
    """Who gets how many basis points of a resale; no receiver means no royalty."""

    receiver: str | None
    basis_points: int


@dataclass(frozen=True, slots=True)
class Series:
    """An event on the chain, with the royalty it should have. `series` is its number there, 64 bits of a hash."""

    tenant_id: TenantId
    event_id: UUID
    series: str
    wanted_receiver: str | None
    wanted_basis_points: int

    @property
    def wanted(self) -> ResaleRoyalty:
        return ResaleRoyalty(self.wanted_receiver, self.wanted_basis_points)


def ensure(tx: Tx, *, event_id: UUID, venue_id: VenueId, series: str) -> None:
    """Write the event's series, once; in the tenant's transaction.

    `ON CONFLICT` names no index: two tickets of one event that are sold at once may meet in the event's key or in that
    of the series. An event whose series is another event's gets no row, and by the foreign key no token.
    """
    tx.execute(
        """
        INSERT INTO series (tenant_id, event_id, venue_id, series, wanted_receiver, wanted_basis_points)
        SELECT current_tenant(), e.event_id, %(venue_id)s, %(series)s, wanted.receiver, coalesce(wanted.basis_points, 0)
        FROM (SELECT %(event_id)s::uuid AS event_id) AS e
        LEFT JOIN mint_settings m ON m.venue_id = %(venue_id)s
        LEFT JOIN LATERAL ("""
        + _WANTED
        + """) wanted ON true
        ON CONFLICT DO NOTHING
        """,
        {"event_id": event_id, "venue_id": venue_id, "series": series},
    )


def renew_wishes(tx: Tx) -> int:
    """Bring every event's wanted royalty up to date with the settings; returns how many changed.

    Needs a system transaction.

    What differs from the chain afterwards is returned by `to_look_at`, and no token of it is minted until it agrees.
    """
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
    """At most `limit` events whose royalty was never read on chain, or is not the wanted one; needs a system
    transaction.
    """
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
    """Store the royalty that the chain reports, whether it is the wanted one or not."""
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
