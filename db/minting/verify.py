"""What the checker reads of tokens; needs a system transaction."""

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class BookedMint:
    """A mint as the checker compares it with the chain.

    `to_address` None: it has no wallet yet, so it must not be
    minted.
    """

    ticket_id: UUID
    token_id: str
    state: str
    to_address: str | None


def mints(tx: Tx) -> list[BookedMint]:
    """Every mint of every tenant, by token id."""
    with tx.cursor(row_factory=class_row(BookedMint)) as cursor:
        return cursor.execute("SELECT ticket_id, token_id, state, to_address FROM mints ORDER BY token_id").fetchall()


def tickets_without_mint(tx: Tx) -> list[UUID]:
    """Tickets that were paid while their venue minted, and that were never queued; all tenants.

    A payment with a cancellation request is left out: its money goes back, and no token was ever asked for.
    """
    rows = tx.execute(
        """
        SELECT (ticket ->> 'ticket_id')::uuid
        FROM payments p
        JOIN mint_settings s ON (s.tenant_id, s.venue_id) = (p.tenant_id, p.venue_id)
        JOIN orders o ON (o.tenant_id, o.order_id) = (p.tenant_id, p.order_id)
        CROSS JOIN LATERAL jsonb_array_elements(o.order_data -> 'tickets') AS ticket
        WHERE s.mints = 'on' AND p.state = 'succeeded' AND p.state_since >= s.on_since_at AND p.cancel_reason IS NULL
          AND NOT EXISTS (
              SELECT FROM mints m
              WHERE (m.tenant_id, m.ticket_id) = (p.tenant_id, (ticket ->> 'ticket_id')::uuid))
        """
    ).fetchall()
    return [row[0] for row in rows]


@dataclass(frozen=True, slots=True)
class Nonces:
    """The nonces a signer has used.

    `used` less than `span` (last - first + 1) means that one is missing, and all later
    wait.
    """

    signer: str
    first: int
    used: int
    span: int


def nonces(tx: Tx) -> list[Nonces]:
    with tx.cursor(row_factory=class_row(Nonces)) as cursor:
        return cursor.execute(
            """
            SELECT signer::text, min(nonce) AS first, count(*) AS used, max(nonce) - min(nonce) + 1 AS span
            FROM slots
            GROUP BY signer
            """
        ).fetchall()
