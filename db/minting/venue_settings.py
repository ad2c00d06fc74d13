"""What a venue wants of tokens: whether its tickets become some, whose they are, and what resales give.

Read by workers, written by `fleet tenants import` as the schema's owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from messages.ids import TenantId, VenueId


@dataclass(frozen=True, slots=True)
class MintSettings:
    """A venue's settings. mints is on or off, refunded_tokens void or leave.

    custodial_wallet       where tickets without a wallet go; None: they wait
    royalty_receiver       None: no royalty on chain; royalty_basis_points must then be 0
    royalty_basis_points   used for events that have no royalty settings of their own for resales
    """

    venue_id: VenueId
    mints: str
    custodial_wallet: str | None = None
    refunded_tokens: str = "void"
    royalty_receiver: str | None = None
    royalty_basis_points: int = 0


def write(owner: psycopg.Connection[Any], tenant_id: TenantId, settings: Sequence[MintSettings]) -> None:
    """Set what these venues want, for tickets paid from now on; needs the schema's owner. Repeating it changes nothing.

    `on_since_at` restarts when minting is switched on, so that older tickets are not missed by the checker.

    Raises:
        psycopg.errors.CheckViolation: an unknown word, or a royalty for nobody.
    """
    owner.execute(
        """
        INSERT INTO mint_settings AS m (
            tenant_id, venue_id, mints, custodial_wallet, refunded_tokens, royalty_receiver, royalty_basis_points)
        SELECT %(tenant_id)s, s.venue_id, s.mints, s.custodial_wallet, s.refunded_tokens, s.royalty_receiver,
               s.royalty_basis_points
        FROM jsonb_to_recordset(%(settings)s) AS s (
            venue_id uuid, mints text, custodial_wallet text, refunded_tokens text, royalty_receiver text,
            royalty_basis_points integer)
        ON CONFLICT (tenant_id, venue_id) DO UPDATE
        SET mints = EXCLUDED.mints,
            on_since_at = CASE WHEN m.mints = EXCLUDED.mints THEN m.on_since_at ELSE clock_timestamp() END,
            custodial_wallet = EXCLUDED.custodial_wallet,
            refunded_tokens = EXCLUDED.refunded_tokens, royalty_receiver = EXCLUDED.royalty_receiver,
            royalty_basis_points = EXCLUDED.royalty_basis_points
        """,
        {
            "tenant_id": tenant_id,
            "settings": Jsonb([{**_fields(each), "venue_id": str(each.venue_id)} for each in settings]),
        },
    )


def _fields(settings: MintSettings) -> dict[str, object]:
    return {
        "mints": settings.mints,
        "custodial_wallet": settings.custodial_wallet,
        "refunded_tokens": settings.refunded_tokens,
        "royalty_receiver": settings.royalty_receiver,
        "royalty_basis_points": settings.royalty_basis_points,
    }
