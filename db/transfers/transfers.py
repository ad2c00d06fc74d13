"""Transfers to recipients: the row, then one function per legal move (states.py draws them).

Each row is one transfer at Stripe under one idempotency key: what Stripe refused is never sent again under it; its
shares are measured anew, and another row is sent. A transfer of zero was netted whole and never reaches Stripe.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.lifecycle import leading_to
from db.session import Tx
from db.shares.booking import Owner
from db.transfers.states import TRANSFER_MOVES, TransferState
from messages.ids import PaymentId, RecipientId, ShareId, TenantId, TransferId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer inside one transaction. Amounts are minor units of `currency`.

    kind             share (one payment's), statement (a week's), or destination (Stripe made it with the charge)
    payment_id       None for a statement: it pays shares of many payments
    charge_id        the charge it draws on (Stripe's source_transaction); None: on the available balance
    transfer_group   what ties it to its charge or statement at Stripe
    amount_minor     what is sent; its lines add up to this and netted_minor
    netted_minor     what of its lines paid the recipient's receivable instead
    reversed_minor   what reversals have taken back, or are about to
    """

    tenant_id: TenantId
    transfer_id: TransferId
    recipient_id: RecipientId
    venue_id: VenueId | None
    account_id: str
    kind: str
    payment_id: PaymentId | None
    charge_id: str | None
    transfer_group: str
    amount_minor: int
    netted_minor: int
    currency: str
    reversed_minor: int
    stripe_transfer_id: str | None
    balance_transaction_id: str | None
    state: TransferState
    state_reason: str | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", TransferState(self.state))

    @property
    def owner(self) -> Owner:
        return Owner(self.recipient_id, self.venue_id)

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def netted(self) -> Money:
        return Money(self.netted_minor, self.currency)


@dataclass(frozen=True, slots=True)
class NewTransfer:
    """What is to be sent: `lines` say how much of each share it pays; `netted` of their sum pays a receivable.

    What is sent is the sum less `netted`. Payment and charge are None for a statement.
    """

    recipient_id: RecipientId
    account_id: str
    kind: str
    payment_id: PaymentId | None
    charge_id: str | None
    transfer_group: str
    lines: Sequence[tuple[ShareId, Money]]
    netted: Money


def request(tx: Tx, new: NewTransfer, *, by: str) -> TransferId:
    """Write a transfer that is to be made, with its lines.

    Each call is another transfer: the caller holds the shares
    locked.
    """
    whole = sum(amount.minor for _, amount in new.lines)
    row = tx.execute(
        """
        WITH asked AS (
            INSERT INTO transfers (
                tenant_id, recipient_id, account_id, kind, payment_id, charge_id, transfer_group, amount_minor,
                netted_minor, currency, state_by)
            VALUES (
                current_tenant(), %(recipient_id)s, %(account_id)s, %(kind)s, %(payment_id)s, %(charge_id)s,
                %(transfer_group)s, %(amount)s, %(netted)s, %(currency)s, %(by)s)
            RETURNING tenant_id, transfer_id
        ), lines AS (
            INSERT INTO transfer_lines (tenant_id, transfer_id, share_id, amount_minor, currency)
            SELECT tenant_id, transfer_id, share_id, amount_minor, %(currency)s
            FROM asked, jsonb_to_recordset(%(lines)s) AS l (share_id uuid, amount_minor bigint)
        )
        SELECT transfer_id FROM asked
        """,
        {
            "recipient_id": new.recipient_id,
            "account_id": new.account_id,
            "kind": new.kind,
            "payment_id": new.payment_id,
            "charge_id": new.charge_id,
            "transfer_group": new.transfer_group,
            "amount": whole - new.netted.minor,
            "netted": new.netted.minor,
            "currency": new.netted.currency,
            "by": by,
            "lines": Jsonb([{"share_id": str(share), "amount_minor": amount.minor} for share, amount in new.lines]),
        },
    ).fetchone()
    assert row is not None, "an INSERT returns its row"
    return TransferId(row[0])


_SELECT = """
    SELECT
        t.tenant_id, t.transfer_id, t.recipient_id, r.venue_id, t.account_id, t.kind, t.payment_id, t.charge_id,
        t.transfer_group, t.amount_minor, t.netted_minor, t.currency, t.reversed_minor, t.stripe_transfer_id,
        t.balance_transaction_id, t.state, t.state_reason
    FROM transfers t JOIN recipients r USING (tenant_id, recipient_id)
"""


def lock(tx: Tx, transfer_id: TransferId) -> Transfer | None:
    """The transfer, its row locked (FOR UPDATE); None when the tenant has no such transfer.

    Its shares are not
    locked.
    """
    with tx.cursor(row_factory=class_row(Transfer)) as cursor:
        return cursor.execute(_SELECT + "WHERE t.transfer_id = %(id)s FOR UPDATE OF t", {"id": transfer_id}).fetchone()


def shares_of(tx: Tx, transfer_id: TransferId) -> list[tuple[PaymentId, ShareId]]:
    """The shares that a transfer pays, and their payments, ordered by share id: the order in which shares are
    locked.
    """
    rows = tx.execute(
        """
        SELECT s.payment_id, s.share_id FROM transfer_lines l JOIN shares s USING (tenant_id, share_id)
        WHERE l.transfer_id = %(id)s ORDER BY s.share_id
        """,
        {"id": transfer_id},
    ).fetchall()
    return [(PaymentId(row[0]), ShareId(row[1])) for row in rows]


@dataclass(frozen=True, slots=True)
class SentTransfer:
    """A transfer that paid a share, and what of it may still be taken back for that share."""

    transfer_id: TransferId
    reversible: Money


def reversible(tx: Tx, share_id: ShareId) -> list[SentTransfer]:
    """The paid transfers of a share, youngest first, locked; no more of one than its line and than is left of it.

    Locked oldest first and in a statement of its own, so that what reversals have taken is counted after the wait.
    """
    tx.execute(
        """
        SELECT FROM transfers t JOIN transfer_lines l USING (tenant_id, transfer_id)
        WHERE l.share_id = %(id)s AND t.state = 'paid' ORDER BY t.transfer_id FOR UPDATE OF t
        """,
        {"id": share_id},
    )
    rows = tx.execute(
        """
        SELECT t.transfer_id,
               least(
                   t.amount_minor - t.reversed_minor,
                   l.amount_minor - coalesce((
                       SELECT sum(v.amount_minor) FROM transfer_reversals v
                       WHERE v.share_id = l.share_id AND v.transfer_id = t.transfer_id AND v.state <> 'short'), 0)
               )::bigint, t.currency
        FROM transfers t JOIN transfer_lines l USING (tenant_id, transfer_id)
        WHERE l.share_id = %(id)s AND t.state = 'paid'
        ORDER BY t.transfer_id DESC
        """,
        {"id": share_id},
    ).fetchall()
    return [SentTransfer(TransferId(row[0]), Money(row[1], row[2])) for row in rows if row[1] > 0]


def move(
    tx: Tx,
    transfer_id: UUID,
    state: TransferState,
    *,
    by: str,
    reason: str | None = None,
    stripe_id: str | None = None,
    balance_transaction_id: str | None = None,
) -> bool:
    """True when this call made the move, from wherever the table of moves allows.

    None for Stripe's ids keeps what is
    stored.
    """
    moved = tx.execute(
        """
        UPDATE transfers
        SET state = %(state)s, state_reason = %(reason)s, state_by = %(by)s,
            stripe_transfer_id = coalesce(%(stripe_id)s, stripe_transfer_id),
            balance_transaction_id = coalesce(%(balance)s, balance_transaction_id)
        WHERE transfer_id = %(id)s AND state || '' = ANY (%(leaving)s)
        """,
        {
            "id": transfer_id,
            "state": state.value,
            "reason": reason,
            "by": by,
            "stripe_id": stripe_id,
            "balance": balance_transaction_id,
            "leaving": leading_to(TRANSFER_MOVES, state),
        },
    )
    return moved.rowcount == 1
