"""Mints: one row for each paid ticket, then what moves it (db/lifecycle.py draws the moves).

A tenant's transaction says which tickets get a token and which come back. Everything else is done by the platform,
because one transaction of the chain carries tickets of many tenants; those functions need a system transaction. As with
payments, a move names the states it leaves, and what it returns are the rows that it moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.lifecycle import MINT_MOVES, MintState, leading_to
from db.session import Tx
from messages.ids import OrderId, PaymentId, TenantId, TicketId, VenueId

# After so many transactions that came to nothing a person must look.
MOST_TRIES = 5


@dataclass(frozen=True, slots=True)
class NewMint:
    ticket_id: TicketId
    token_id: str
    wallet: str | None


@dataclass(frozen=True, slots=True)
class Mint:
    tenant_id: TenantId
    ticket_id: TicketId
    payment_id: PaymentId
    order_id: OrderId
    token_id: str
    to_address: str | None
    state: MintState
    state_reason: str | None
    tries: int
    state_since: datetime
    trace_id: str | None  # of the payment; None for what an older release queued
    span_id: str | None  # in which the token was asked for, where spans are recorded

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", MintState(self.state))


_COLUMNS: LiteralString = (
    "m.tenant_id, m.ticket_id, m.payment_id, m.order_id, m.token_id, m.to_address, m.state, m.state_reason, m.tries, "
    "m.state_since, m.trace_id, m.span_id"
)


# ------------------------------------------------------------------------------------------------ the tenant's part


def request(
    tx: Tx, *, payment_id: PaymentId, order_id: OrderId, event_id: UUID, venue_id: VenueId, new: Sequence[NewMint],
    by: str, trace_id: str | None = None, span_id: str | None = None,
) -> int:  # fmt: skip
    """Queue a token for each ticket that has none; returns how many are new.

    A ticket without a wallet goes to the venue's custodial wallet, and waits as long as there is none.
    """
    return tx.execute(
        """
        INSERT INTO mints (
            tenant_id, ticket_id, payment_id, order_id, event_id, venue_id, token_id, to_address, state_by, trace_id,
            span_id)
        SELECT current_tenant(), n.ticket_id, %(payment_id)s, %(order_id)s, %(event_id)s, %(venue_id)s, n.token_id,
               coalesce(n.wallet, s.custodial_wallet), %(by)s, %(trace_id)s,
               %(span_id)s
        FROM jsonb_to_recordset(%(new)s) AS n (ticket_id uuid, token_id text, wallet text)
        LEFT JOIN mint_settings s ON s.venue_id = %(venue_id)s
        ORDER BY n.ticket_id
        ON CONFLICT DO NOTHING
        """,
        {
            "payment_id": payment_id,
            "order_id": order_id,
            "event_id": event_id,
            "venue_id": venue_id,
            "new": Jsonb(
                [{"ticket_id": str(each.ticket_id), "token_id": each.token_id, "wallet": each.wallet} for each in new]
            ),
            "by": by,
            "trace_id": trace_id,
            "span_id": span_id,
        },
    ).rowcount


def take_back(tx: Tx, payment_id: PaymentId, *, by: str) -> tuple[int, int]:
    """Follow what was refunded of a locked payment: (mints that are canceled, tokens that are to be voided).

    A ticket is given back when its own refund succeeded, or when refunds of the payment have reached all of its money.
    What is not sent yet is never sent. A token that exists, or is on its way, is voided if the venue wants that.
    """
    row = tx.execute(
        """
        WITH given_back AS (
            SELECT t.ticket_id FROM refund_tickets t JOIN refunds r USING (tenant_id, refund_id)
            WHERE r.payment_id = %(payment_id)s AND r.state = 'succeeded'
            UNION
            SELECT m.ticket_id FROM mints m JOIN charges c USING (tenant_id, payment_id)
            WHERE m.payment_id = %(payment_id)s
              AND c.amount_minor <= (SELECT coalesce(sum(r.amount_minor), 0) FROM refunds r
                                     WHERE r.payment_id = %(payment_id)s AND r.state = 'succeeded')
        ), canceled AS (
            UPDATE mints SET state = 'canceled', state_reason = 'refunded', state_by = %(by)s
            WHERE payment_id = %(payment_id)s AND state IN ('queued', 'failed')
              AND ticket_id IN (SELECT ticket_id FROM given_back)
            RETURNING ticket_id
        ), to_void AS (
            UPDATE mints m SET void_wanted_at = clock_timestamp()
            FROM mint_settings s
            WHERE (s.tenant_id, s.venue_id) = (m.tenant_id, m.venue_id) AND s.refunded_tokens = 'void'
              AND m.payment_id = %(payment_id)s AND m.state IN ('submitted', 'mined', 'confirmed')
              AND m.void_wanted_at IS NULL AND m.ticket_id IN (SELECT ticket_id FROM given_back)
            RETURNING m.ticket_id
        )
        SELECT (SELECT count(*) FROM canceled), (SELECT count(*) FROM to_void)
        """,
        {"payment_id": payment_id, "by": by},
    ).fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    return row[0], row[1]


def retry(tx: Tx, ticket_id: TicketId, *, by: str) -> bool:
    """failed -> queued, with fresh tries."""
    return (
        tx.execute(
            """
            UPDATE mints SET state = 'queued', state_reason = NULL, state_by = %(by)s, tries = 0
            WHERE ticket_id = %(ticket_id)s AND state = 'failed'
            """,
            {"ticket_id": ticket_id, "by": by},
        ).rowcount
        == 1
    )


def get(tx: Tx, ticket_id: TicketId) -> Mint | None:
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        return cursor.execute(
            "SELECT " + _COLUMNS + " FROM mints m WHERE m.ticket_id = %(id)s", {"id": ticket_id}
        ).fetchone()


# ---------------------------------------------------------------------------------------------- the platform's part


def adopt_wallets(tx: Tx) -> int:
    """Tickets that waited for a wallet, and whose venue has one for them now."""
    return tx.execute(
        """
        UPDATE mints m SET to_address = s.custodial_wallet
        FROM mint_settings s
        WHERE (s.tenant_id, s.venue_id) = (m.tenant_id, m.venue_id)
          AND m.state = 'queued' AND m.to_address IS NULL AND s.custodial_wallet IS NOT NULL
        """
    ).rowcount


def ready(tx: Tx, *, limit: int) -> list[Mint]:
    """The oldest mints that may be sent: they have a wallet, and their event's royalty stands on the chain as wanted.

    One that failed on the chain before goes alone, so that it cannot spoil others again.
    """
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        found = cursor.execute(
            "SELECT "
            + _COLUMNS
            + """
            FROM mints m JOIN series s USING (tenant_id, event_id)
            WHERE m.state = 'queued' AND m.to_address IS NOT NULL AND m.void_wanted_at IS NULL
              AND s.read_at IS NOT NULL
              AND (s.wanted_receiver, s.wanted_basis_points) IS NOT DISTINCT FROM (s.set_receiver, s.set_basis_points)
            ORDER BY m.tries > 0, m.created_at
            LIMIT %(limit)s
            """,
            {"limit": limit},
        ).fetchall()
    fresh = [mint for mint in found if not mint.tries]
    return fresh or found[:1]


def to_void(tx: Tx, *, limit: int) -> list[Mint]:
    """Tokens of refunded tickets."""
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        return cursor.execute(
            "SELECT "
            + _COLUMNS
            + """
            FROM mints m WHERE m.state = 'confirmed' AND m.void_wanted_at IS NOT NULL
            ORDER BY m.void_wanted_at
            LIMIT %(limit)s
            """,
            {"limit": limit},
        ).fetchall()


def begin(tx: Tx, wanted: Sequence[Mint], slot_id: UUID, *, by: str) -> int:
    """queued -> submitted in this slot. Fewer than wanted: one was refunded meanwhile; the caller must not commit."""
    return tx.execute(
        """
        UPDATE mints m
        SET state = 'submitted', state_reason = NULL, state_by = %(by)s, slot_id = %(slot_id)s
        FROM unnest(%(tokens)s::text[]) AS wanted (token_id)
        WHERE m.token_id = wanted.token_id AND m.state = 'queued'
        """,
        {"tokens": [mint.token_id for mint in wanted], "slot_id": slot_id, "by": by},
    ).rowcount


def begin_voiding(tx: Tx, wanted: Sequence[Mint], slot_id: UUID, *, by: str) -> int:
    """confirmed -> voiding in this slot."""
    return tx.execute(
        """
        UPDATE mints m
        SET state = 'voiding', state_reason = 'refunded', state_by = %(by)s, void_slot_id = %(slot_id)s
        FROM unnest(%(tokens)s::text[]) AS wanted (token_id)
        WHERE m.token_id = wanted.token_id AND m.state = 'confirmed'
        """,
        {"tokens": [mint.token_id for mint in wanted], "slot_id": slot_id, "by": by},
    ).rowcount


def of_slot(tx: Tx, slot_id: UUID) -> list[Mint]:
    """The mints, or the voidings, that a slot carries now."""
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        return cursor.execute(
            "SELECT "
            + _COLUMNS
            + " FROM mints m WHERE m.slot_id = %(slot_id)s OR m.void_slot_id = %(slot_id)s ORDER BY m.token_id",
            {"slot_id": slot_id},
        ).fetchall()


def move(tx: Tx, token_ids: Sequence[str], state: MintState, *, by: str, reason: str | None = None) -> list[Mint]:
    """Move these to `state`, from wherever the table of moves allows it; returns those that moved."""
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        return cursor.execute(
            """
            UPDATE mints m SET state = %(state)s, state_reason = %(reason)s, state_by = %(by)s
            WHERE m.token_id = ANY (%(tokens)s) AND m.state = ANY (%(leaving)s)
            RETURNING """
            + _COLUMNS,
            {
                "tokens": list(token_ids),
                "state": state.value,
                "reason": reason,
                "by": by,
                "leaving": leading_to(MINT_MOVES, state),
            },
        ).fetchall()


def come_back(tx: Tx, slot_id: UUID, *, reason: str, spent_a_try: bool, by: str) -> list[Mint]:
    """What a slot carried stands as before it: mints are queued, or failed after too many tries, voidings confirmed.

    Returns the mints that failed.
    """
    tx.execute(
        """
        UPDATE mints SET state = 'confirmed', state_reason = %(reason)s, state_by = %(by)s
        WHERE void_slot_id = %(slot_id)s AND state = 'voiding'
        """,
        {"slot_id": slot_id, "reason": reason, "by": by},
    )
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        moved = cursor.execute(
            """
            UPDATE mints m
            SET tries = tries + %(spent)s, state_reason = %(reason)s, state_by = %(by)s,
                state = CASE WHEN tries + %(spent)s >= %(most)s THEN 'failed' ELSE 'queued' END
            WHERE slot_id = %(slot_id)s AND state = 'submitted'
            RETURNING """
            + _COLUMNS,
            {"slot_id": slot_id, "reason": reason, "by": by, "spent": int(spent_a_try), "most": MOST_TRIES},
        ).fetchall()
    tx.execute(
        """
        UPDATE mints SET state = 'canceled', state_reason = 'refunded', state_by = %(by)s
        WHERE slot_id = %(slot_id)s AND state IN ('queued', 'failed') AND void_wanted_at IS NOT NULL
        """,
        {"slot_id": slot_id, "by": by},
    )
    return [mint for mint in moved if mint.state is MintState.FAILED]


def spend_try(tx: Tx, mint: Mint, *, reason: str, by: str) -> list[Mint]:
    """A queued mint that cannot be sent as it stands; returned when that was its last try, and it failed."""
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        moved = cursor.execute(
            """
            UPDATE mints m
            SET tries = tries + 1, state_reason = %(reason)s, state_by = %(by)s,
                state = CASE WHEN tries + 1 >= %(most)s THEN 'failed' ELSE 'queued' END
            WHERE token_id = %(token)s AND state = 'queued'
            RETURNING """
            + _COLUMNS,
            {"token": mint.token_id, "reason": reason, "by": by, "most": MOST_TRIES},
        ).fetchall()
    return [each for each in moved if each.state is MintState.FAILED]


def first_told(tx: Tx, token_ids: Sequence[str]) -> set[str]:
    """Those of the tokens whose minting was not told yet; it counts as told from now on."""
    rows = tx.execute(
        """
        UPDATE mints SET told_at = clock_timestamp()
        WHERE token_id = ANY (%(tokens)s) AND told_at IS NULL
        RETURNING token_id
        """,
        {"tokens": list(token_ids)},
    ).fetchall()
    return {row[0] for row in rows}


def counts(tx: Tx) -> dict[str, int]:
    """State -> how many; in a tenant's transaction its own."""
    return dict(tx.execute("SELECT state, count(*) FROM mints GROUP BY state").fetchall())
