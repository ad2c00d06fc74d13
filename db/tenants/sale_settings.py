"""How a tenant's sales are split and paid out, as its file says: written by `fleet tenants import` as the schema's
owner.

What is frozen in shares never changes. A royalty that has begun keeps its rate for its period: it may be ended, and
another period begun, so the periods are the history.
"""

from collections.abc import Sequence
from uuid import UUID, uuid5

import psycopg
from psycopg.types.json import Jsonb

from messages.tenant_files import ListedRoyalty, TenantFile

Owner = psycopg.Connection[tuple[object, ...]]


def plan_id_of_tier(tenant_id: UUID, tier: str) -> UUID:
    """A tier's plan has the same id in every import."""
    return uuid5(tenant_id, f"fee tier {tier}")


def write(owner: Owner, file: TenantFile) -> None:
    """Write what the file says of a registered tenant, inside the caller's transaction.

    The same file again changes nothing.

    Raises:
        ValueError: it contradicts what is registered; one sentence says how.
        psycopg.Error: a venue or recipient that is named nowhere, or a policy that does not exist.
    """
    _write_tiers(owner, file)
    _write_venues(owner, file)
    _write_recipients(owner, file)
    _write_royalties(owner, file.tenant_id, file.royalties)
    _write_rules(owner, file)


def _write_tiers(owner: Owner, file: TenantFile) -> None:
    """A tier's price never changes: payments have agreed on it. A new price needs a new name."""
    for name, tier in file.fee_tiers.items():
        price = (tier.basis_points, tier.fixed_minor, tier.currency, tier.minimum_minor, tier.maximum_minor)
        plan_id = plan_id_of_tier(file.tenant_id, name)
        owner.execute(
            """
            INSERT INTO fee_plans (
                tenant_id, fee_plan_id, name, basis_points, fixed_minor, currency, minimum_minor, maximum_minor)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
            """,
            [file.tenant_id, plan_id, name, *price],
        )
        objects = owner.execute(
            """
            SELECT basis_points, fixed_minor, currency, minimum_minor, maximum_minor
            FROM fee_plans WHERE tenant_id = %s AND fee_plan_id = %s
            """,
            [file.tenant_id, plan_id],
        ).fetchone()
        if objects != price:
            raise ValueError(f"the tier {name!r} is registered with another price; give the new price a new name")


def _write_venues(owner: Owner, file: TenantFile) -> None:
    """Only what the file names is changed; `escrow_days` may be named as null, and then nothing more is held in
    escrow.
    """
    for venue in file.venues:
        said = venue.model_dump(exclude_unset=True)
        plan_id = plan_id_of_tier(file.tenant_id, venue.tier) if venue.tier is not None else None
        owner.execute(
            """
            UPDATE venues SET
                fee_plan_id = coalesce(%(plan)s, fee_plan_id),
                settlement_mode = coalesce(%(mode)s, settlement_mode),
                escrow_days = CASE WHEN %(says_escrow)s THEN %(escrow_days)s::integer ELSE escrow_days END
            WHERE tenant_id = %(tenant_id)s AND venue_id = %(venue_id)s
            """,
            {
                "plan": plan_id,
                "mode": venue.settlement_mode,
                "says_escrow": "escrow_days" in said,
                "escrow_days": venue.escrow_days,
                "tenant_id": file.tenant_id,
                "venue_id": venue.venue_id,
            },
        )


def _write_recipients(owner: Owner, file: TenantFile) -> None:
    """A known recipient takes what the file says; its kind cannot change, and its account is replaced but never
    removed.
    """
    for recipient in file.recipients:
        known = owner.execute(
            """
            INSERT INTO recipients AS r (
                tenant_id, recipient_id, kind, name, account_id, settlement, minimum_minor, currency, venue_id)
            VALUES (%(tenant_id)s, %(recipient_id)s, %(kind)s, %(name)s, %(account_id)s, %(settlement)s,
                    %(minimum_minor)s, %(currency)s, CASE WHEN %(kind)s = 'venue' THEN %(recipient_id)s::uuid END)
            ON CONFLICT (tenant_id, recipient_id) DO UPDATE
            SET name = excluded.name, account_id = coalesce(excluded.account_id, r.account_id),
                settlement = excluded.settlement, minimum_minor = excluded.minimum_minor, currency = excluded.currency
            WHERE r.kind = excluded.kind
            """,
            recipient.model_dump() | {"tenant_id": file.tenant_id},
        )
        if known.rowcount == 0:
            raise ValueError(f"recipient {recipient.recipient_id} is registered, and is no {recipient.kind}")


def _write_royalties(owner: Owner, tenant_id: UUID, royalties: Sequence[ListedRoyalty]) -> None:
    """Write royalties; one that has begun can only be ended, at a time that is still to come."""
    # Two imports at once would each check without the other's rows.
    owner.execute("LOCK TABLE royalty_settings IN SHARE ROW EXCLUSIVE MODE")
    for royalty in royalties:
        row = royalty.model_dump() | {"tenant_id": tenant_id}
        written = owner.execute(
            """
            INSERT INTO royalty_settings AS s (
                tenant_id, venue_id, event_id, sale, recipient_id, basis_points, valid_from, valid_until)
            VALUES (%(tenant_id)s, %(venue_id)s, %(event_id)s, %(sale)s, %(recipient_id)s, %(basis_points)s,
                    coalesce(%(valid_from)s::timestamptz, '-infinity'),
                    coalesce(%(valid_until)s::timestamptz, 'infinity'))
            ON CONFLICT (tenant_id, venue_id, event_id, sale, recipient_id, valid_from) DO UPDATE
            SET basis_points = excluded.basis_points, valid_until = excluded.valid_until
            WHERE (s.basis_points, s.valid_until) = (excluded.basis_points, excluded.valid_until)
               OR s.valid_from > clock_timestamp()
               OR s.basis_points = excluded.basis_points AND s.valid_until > clock_timestamp()
                  AND excluded.valid_until > clock_timestamp()
            """,
            row,
        )
        if written.rowcount == 0:
            raise ValueError(
                f"the royalty of {royalty.recipient_id} on {royalty.sale} sales has begun: end it with a valid_until "
                "that is still to come, and give the new rate a later valid_from"
            )
    _check_royalties(owner, tenant_id)


def _check_royalties(owner: Owner, tenant_id: UUID) -> None:
    """At no moment may a recipient be named twice, or all of them together get more than the sale."""
    wrong = owner.execute(
        """
        SELECT a.venue_id, a.sale, sum(b.basis_points),
               count(*) FILTER (WHERE b.recipient_id = a.recipient_id) > 1, a.recipient_id
        FROM royalty_settings a JOIN royalty_settings b
            ON (b.tenant_id, b.venue_id, b.sale) = (a.tenant_id, a.venue_id, a.sale)
           AND b.event_id IS NOT DISTINCT FROM a.event_id
           AND b.valid_from <= a.valid_from AND b.valid_until > a.valid_from
        WHERE a.tenant_id = %s
        GROUP BY a.setting_id, a.venue_id, a.sale, a.valid_from, a.recipient_id
        HAVING sum(b.basis_points) > 10000 OR count(*) FILTER (WHERE b.recipient_id = a.recipient_id) > 1
        LIMIT 1
        """,
        [tenant_id],
    ).fetchone()
    if wrong is None:
        return
    venue_id, sale, points, twice, recipient_id = wrong
    if twice:
        raise ValueError(f"two royalties of {recipient_id} on {sale} sales of venue {venue_id} hold at the same time")
    raise ValueError(f"the royalties on {sale} sales of venue {venue_id} add up to {points} of 10000 basis points")


def _write_rules(owner: Owner, file: TenantFile) -> None:
    owner.execute(
        """
        INSERT INTO resale_rules (tenant_id, venue_id, event_id, floor_basis_points, ceiling_basis_points)
        SELECT %(tenant_id)s, venue_id, event_id, floor_basis_points, ceiling_basis_points
        FROM jsonb_to_recordset(%(rules)s) AS rule (
            venue_id uuid, event_id uuid, floor_basis_points integer, ceiling_basis_points integer)
        ON CONFLICT (tenant_id, venue_id, event_id) DO UPDATE
        SET floor_basis_points = excluded.floor_basis_points, ceiling_basis_points = excluded.ceiling_basis_points
        """,
        {
            "tenant_id": file.tenant_id,
            "rules": Jsonb([rule.model_dump(mode="json") for rule in file.resale_rules]),
        },
    )
