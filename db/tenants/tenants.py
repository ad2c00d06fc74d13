"""Tenants, their venues and fee plans. Read by every process, written by `fleet tenants` as the schema's owner."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.minting import venue_settings
from db.minting.venue_settings import MintSettings
from db.session import Tx
from db.tenants import sale_settings
from messages.fees import FeePlan
from messages.ids import TenantId, VenueId
from messages.tenant_files import ListedVenue, TenantFile


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue as it is to be registered.

    None in a policy or in `minting` leaves what is stored, or the default of a new one.

    refund_fee_policy    returned: the platform's fee goes back with a refund; kept: it does not
    early_fraud_policy   refund: an early fraud warning is refunded; leave: it is not
    minting              whether tickets become tokens, and whose
    """

    venue_id: VenueId
    name: str
    currency: str
    fee_plan: FeePlan
    refund_policy_text: str | None = None
    refund_fee_policy: str | None = None
    early_fraud_policy: str | None = None
    minting: MintSettings | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant and its venues, to be registered."""

    tenant_id: TenantId
    name: str
    venues: tuple[Venue, ...]


def venue_currencies(tx: Tx) -> dict[VenueId, str]:
    """Venue -> the one currency it sells in, of the transaction's tenant; empty when there is no such tenant."""
    rows = tx.execute("SELECT venue_id, currency FROM venues").fetchall()
    return {VenueId(row[0]): row[1] for row in rows}


def fee_plan(tx: Tx, venue_id: VenueId) -> FeePlan | None:
    """What the platform charges for a sale at this venue; None when the transaction's tenant has no such venue."""
    row = tx.execute(
        """
        SELECT f.basis_points, f.fixed_minor, f.currency, f.minimum_minor, f.maximum_minor
        FROM venues v JOIN fee_plans f USING (tenant_id, fee_plan_id)
        WHERE v.venue_id = %(venue_id)s
        """,
        {"venue_id": venue_id},
    ).fetchone()
    return FeePlan(*row) if row else None


def all_tenants(tx: Tx) -> list[TenantId]:
    """Every tenant's id; needs a system transaction."""
    return [TenantId(row[0]) for row in tx.execute("SELECT tenant_id FROM tenants ORDER BY tenant_id").fetchall()]


def names(tx: Tx) -> dict[UUID, str]:
    """Every tenant's name; needs a system or an ops transaction."""
    return dict(tx.execute("SELECT tenant_id, name FROM tenants").fetchall())


@dataclass(frozen=True, slots=True)
class VenueName:
    """A venue and whose it is, by name."""

    tenant_id: UUID
    tenant: str
    venue_id: UUID
    venue: str


def places(tx: Tx) -> list[VenueName]:
    """Every venue, tenant by tenant; needs a system or an ops transaction."""
    with tx.cursor(row_factory=class_row(VenueName)) as cursor:
        return cursor.execute(
            """
            SELECT t.tenant_id, t.name AS tenant, v.venue_id, v.name AS venue
            FROM tenants t JOIN venues v USING (tenant_id)
            ORDER BY t.name, t.tenant_id, v.name, v.venue_id
            """
        ).fetchall()


def began_at(tx: Tx) -> datetime | None:
    """When the first tenant was registered: nothing that Stripe moved before is the fleet's. None: there is none."""
    row = tx.execute("SELECT min(created_at) FROM tenants").fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    began: datetime | None = row[0]
    return began


def register(owner: psycopg.Connection[tuple[object, ...]], tenants: list[Tenant]) -> None:
    """Add tenants, venues and plans that are not there yet, each tenant in a transaction of its own.

    Needs the schema's owner.

    What is there stays as it is, because payments rest on it, except for the two policies of a venue: they say how the
    next refund or warning is handled, and change nothing that is booked. Repeating it is harmless.

    Raises:
        psycopg.errors.CheckViolation: a policy that does not exist.
    """
    for tenant in tenants:
        with owner.transaction():
            _register_one(owner, tenant)
            venue_settings.write(owner, tenant.tenant_id, [venue.minting for venue in tenant.venues if venue.minting])


def _register_one(owner: psycopg.Connection[tuple[object, ...]], tenant: Tenant) -> None:
    owner.execute(
        "INSERT INTO tenants (tenant_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", [tenant.tenant_id, tenant.name]
    )
    venues = {"tenant_id": tenant.tenant_id, "venues": Jsonb([_as_row(venue) for venue in tenant.venues])}
    _insert_venues(owner, venues)
    _update_policies(owner, venues)


def _as_row(venue: Venue) -> dict[str, object]:
    return {
        "venue_id": str(venue.venue_id),
        "name": venue.name,
        "currency": venue.currency,
        "basis_points": venue.fee_plan.basis_points,
        "fixed_minor": venue.fee_plan.fixed_minor,
        "minimum_minor": venue.fee_plan.minimum_minor,
        "maximum_minor": venue.fee_plan.maximum_minor,
        "refund_policy_text": venue.refund_policy_text,
        "refund_fee_policy": venue.refund_fee_policy,
        "early_fraud_policy": venue.early_fraud_policy,
    }


def _insert_venues(owner: psycopg.Connection[tuple[object, ...]], venues: dict[str, object]) -> None:
    """Insert a plan for each venue, under the venue's own id, so that one statement can write both."""
    owner.execute(
        """
        WITH wanted AS (
            SELECT * FROM jsonb_to_recordset(%(venues)s)
            AS venue (
                venue_id uuid, name text, currency text, basis_points integer, fixed_minor bigint,
                minimum_minor bigint, maximum_minor bigint,
                refund_policy_text text, refund_fee_policy text, early_fraud_policy text)
        ), plans AS (
            INSERT INTO fee_plans (
                tenant_id, fee_plan_id, name, basis_points, fixed_minor, currency, minimum_minor, maximum_minor)
            SELECT %(tenant_id)s, venue_id, name, basis_points, fixed_minor, currency, minimum_minor, maximum_minor
            FROM wanted
            ON CONFLICT DO NOTHING
        )
        INSERT INTO venues (
            tenant_id, venue_id, name, currency, fee_plan_id, refund_policy_text, refund_fee_policy, early_fraud_policy)
        SELECT %(tenant_id)s, venue_id, name, currency, venue_id, refund_policy_text,
               coalesce(refund_fee_policy, 'returned'), coalesce(early_fraud_policy, 'leave')
        FROM wanted
        ON CONFLICT DO NOTHING
        """,
        venues,
    )


def _update_policies(owner: psycopg.Connection[tuple[object, ...]], venues: dict[str, object]) -> None:
    """Set the policies that the file names; None leaves what is stored."""
    owner.execute(
        """
        UPDATE venues v
        SET refund_fee_policy = coalesce(wanted.refund_fee_policy, v.refund_fee_policy),
            early_fraud_policy = coalesce(wanted.early_fraud_policy, v.early_fraud_policy)
        FROM jsonb_to_recordset(%(venues)s) AS wanted (
            venue_id uuid, refund_fee_policy text, early_fraud_policy text)
        WHERE v.tenant_id = %(tenant_id)s AND v.venue_id = wanted.venue_id
        """,
        venues,
    )


# What a venue cannot be together, whichever of the two the file names and whichever stands already.
_EXCLUDED = {
    "venues_destination_excludes_escrow": "a destination charge moves the money at once, so a venue with escrow_days "
    "cannot have settlement_mode destination: take one of them away",
    "venues_destination_returns_fees": "a destination charge gives the fee back with the transfer, so a venue with "
    "refund_fee_policy kept cannot have settlement_mode destination: take one of them away",
}


def import_file(owner: psycopg.Connection[tuple[object, ...]], file: TenantFile) -> None:
    """Register what one tenant's file names, and write how its sales are split: all of it, or nothing.

    Raises:
        ValueError: it contradicts what is registered, or names what is not; one sentence says how.
    """
    venues = [
        Venue(
            VenueId(venue.venue_id),
            venue.name,
            venue.currency,
            file.plan_of(venue),
            venue.refund_policy_text,
            venue.refund_fee_policy,
            venue.early_fraud_policy,
            minting=_minting(venue),
        )
        for venue in file.venues
    ]
    try:
        with owner.transaction():
            _register_one(owner, Tenant(TenantId(file.tenant_id), file.name, tuple(venues)))
            sale_settings.write(owner, file)
    except (psycopg.errors.ForeignKeyViolation, psycopg.errors.CheckViolation) as error:
        said = _EXCLUDED.get(error.diag.constraint_name or "") or error.diag.message_detail
        raise ValueError(said or error.diag.message_primary or "the database refuses it") from None


def _minting(venue: ListedVenue) -> MintSettings | None:
    listed_minting = venue.minting
    return MintSettings(VenueId(venue.venue_id), **listed_minting.model_dump()) if listed_minting else None
