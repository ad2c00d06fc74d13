"""Mints for operators: one ticket with its transactions, lists, and why a queued one is not sent.

Needs an ops
transaction.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx

NO_WALLET = "no wallet: the buyer named none, and the venue keeps none for its buyers"
NO_ROYALTY = "the royalty of its event is not set on the chain yet"
IN_LINE = "in line"


@dataclass(frozen=True, slots=True)
class MintLine:
    """One ticket.

    `why` is what a queued one waits for, and otherwise the reason of its last move; None when it needs none.

    `slot_id` and `void_slot_id` are the nonces that carry, or carried last, its minting and its voiding.
    """

    tenant_id: UUID
    ticket_id: UUID
    payment_id: UUID
    order_id: UUID
    event_id: UUID
    token_id: str
    to_address: str | None
    state: str
    state_since: datetime
    why: str | None
    tries: int
    void_wanted: bool
    slot_id: UUID | None
    void_slot_id: UUID | None


_SELECT: LiteralString = """
    SELECT m.tenant_id, m.ticket_id, m.payment_id, m.order_id, m.event_id, m.token_id, m.to_address::text, m.state,
           m.state_since, m.tries, m.void_wanted_at IS NOT NULL AS void_wanted, m.slot_id, m.void_slot_id,
           CASE WHEN m.state <> 'queued' THEN m.state_reason
                WHEN m.to_address IS NULL THEN %(no_wallet)s
                ELSE coalesce(
                    (SELECT reason FROM mint_waits ORDER BY looked_at DESC LIMIT 1),
                    CASE WHEN s.read_at IS NULL
                           OR (s.wanted_receiver, s.wanted_basis_points)
                              IS DISTINCT FROM (s.set_receiver, s.set_basis_points) THEN %(no_royalty)s END,
                    m.state_reason, %(in_line)s) END AS why
    FROM mints m JOIN series s USING (tenant_id, event_id)
"""
_WORDS = {"no_wallet": NO_WALLET, "no_royalty": NO_ROYALTY, "in_line": IN_LINE}


def of_ticket(tx: Tx, ticket_id: UUID) -> list[MintLine]:
    """The mints of this ticket: one, unless two tenants have used the same id."""
    with tx.cursor(row_factory=class_row(MintLine)) as cursor:
        return cursor.execute(
            _SELECT + "WHERE m.ticket_id = %(ticket_id)s", _WORDS | {"ticket_id": ticket_id}
        ).fetchall()


def find(
    tx: Tx, *, states: list[str] | None, tenant_id: UUID | None, payment_id: UUID | None, limit: int
) -> list[MintLine]:
    """The mints that moved last, first; a condition that is None does not narrow the list."""
    with tx.cursor(row_factory=class_row(MintLine)) as cursor:
        return cursor.execute(
            _SELECT
            + """
            WHERE (%(states)s::text[] IS NULL OR m.state = ANY (%(states)s))
              AND (%(tenant_id)s::uuid IS NULL OR m.tenant_id = %(tenant_id)s)
              AND (%(payment_id)s::uuid IS NULL OR m.payment_id = %(payment_id)s)
            ORDER BY m.state_since DESC
            LIMIT %(limit)s
            """,
            _WORDS | {"states": states, "tenant_id": tenant_id, "payment_id": payment_id, "limit": limit},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class MintStateChange:
    seq: int
    at: datetime
    from_state: str | None
    to_state: str
    reason: str | None
    by: str


def history(tx: Tx, line: MintLine) -> list[MintStateChange]:
    """Every move of a mint, the first one first; `from_state` is None for that."""
    with tx.cursor(row_factory=class_row(MintStateChange)) as cursor:
        return cursor.execute(
            """
            SELECT seq, at, from_state, to_state, reason, by FROM mint_history
            WHERE (tenant_id, ticket_id) = (%(tenant_id)s, %(ticket_id)s)
            ORDER BY seq
            """,
            {"tenant_id": line.tenant_id, "ticket_id": line.ticket_id},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class SentLine:
    """A transaction that carries a ticket: its nonce, and its mined version or else its youngest.

    `versions` counts the signed versions; `max_fee_wei` is the youngest's, for one unit of gas.
    """

    kind: str
    nonce: int
    state: str
    tx_hash: str
    versions: int
    max_fee_wei: int
    block_number: int | None
    last_sent_at: datetime | None


def transactions(tx: Tx, line: MintLine) -> list[SentLine]:
    """The nonces that carry the ticket's minting and voiding now, by nonce; those that were given up before are not
    listed.
    """
    with tx.cursor(row_factory=class_row(SentLine)) as cursor:
        return cursor.execute(
            """
            SELECT s.kind, s.nonce, s.state, coalesce(s.mined_hash, a.tx_hash)::text AS tx_hash, a.number AS versions,
                   a.max_fee_wei, s.block_number, a.last_sent_at
            FROM slots s
            JOIN LATERAL (SELECT * FROM attempts a WHERE a.slot_id = s.slot_id ORDER BY number DESC LIMIT 1) a ON true
            WHERE s.slot_id IN (%(slot)s, %(void)s)
            ORDER BY s.nonce
            """,
            {"slot": line.slot_id, "void": line.void_slot_id},
        ).fetchall()
