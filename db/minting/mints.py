"""Mints: one row for each paid ticket, and what a tenant's transaction says about it: which tickets get a token, and
which tokens are to be voided. What the minter does with them is in db/minting/submissions.py; states.py draws the
moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.minting.states import MintState
from db.session import Tx
from messages.ids import OrderId, PaymentId, TenantId, TicketId, VenueId


@dataclass(frozen=True, slots=True)
class NewMint:
    """A token to be queued. `wallet` is where the buyer wants it, an address; None: the buyer named none.

    `token_id` is the token's 256-bit number, as 0x and 64 hexadecimal digits.
    """

    ticket_id: TicketId
    token_id: str
    wallet: str | None


@dataclass(frozen=True, slots=True)
class Mint:
    """A ticket on its way to a token. `to_address` None: no wallet is known, and it waits.

    `tries` counts transactions that failed; a person's retry begins at 0 again.
    """

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


COLUMNS: LiteralString = (
    "m.tenant_id, m.ticket_id, m.payment_id, m.order_id, m.token_id, m.to_address, m.state, m.state_reason, m.tries, "
    "m.state_since, m.trace_id, m.span_id"
)


def request(
    tx: Tx, *, payment_id: PaymentId, order_id: OrderId, event_id: UUID, venue_id: VenueId, new: Sequence[NewMint],
    by: str, trace_id: str | None = None, span_id: str | None = None,
) -> int:  # fmt: skip
    """Queue a token for each ticket that has none; returns how many are new, so a second call returns 0 (M11).

    A ticket without a wallet goes to the venue's custodial wallet, and waits as long as there is none. The event's
    series must be written before (db/minting/series.py).

    Raises:
        psycopg.errors.ForeignKeyViolation: the event has no series, so its tickets get no token.
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
    A mint that is not sent yet is never sent. A token that exists, or is on its way, is voided if the venue wants that.
    Repeating it returns (0, 0).
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
    """failed -> queued, with the tries back at 0; False when it is not failed. Only a person asks for this."""
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
    """The mint of a ticket; None when the ticket has none."""
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        return cursor.execute(
            "SELECT " + COLUMNS + " FROM mints m WHERE m.ticket_id = %(id)s", {"id": ticket_id}
        ).fetchone()


def counts(tx: Tx) -> dict[str, int]:
    """State -> how many; in a tenant's transaction its own."""
    return dict(tx.execute("SELECT state, count(*) FROM mints GROUP BY state").fetchall())
