"""Reversals of transfers: the row, then its moves (docs.stripe.com/api/transfer_reversals).

A trigger adds each to `reversed_minor` of its transfer, whose CHECK refuses more than was sent, under any concurrency.
"""

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.lifecycle import leading_to
from db.session import Tx
from db.shares.booking import Owner
from db.transfers.states import REVERSAL_MOVES, ReversalState
from messages.ids import PaymentId, RecipientId, ReversalId, ShareId, TenantId, TransferId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Reversal:
    """A reversal inside one transaction, with what its call needs of the transfer; `payment_id` is that of the
    share.
    """

    tenant_id: TenantId
    reversal_id: ReversalId
    transfer_id: TransferId
    share_id: ShareId
    payment_id: PaymentId
    recipient_id: RecipientId
    venue_id: VenueId | None
    account_id: str
    stripe_transfer_id: str
    amount_minor: int
    currency: str
    state: ReversalState

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", ReversalState(self.state))

    @property
    def owner(self) -> Owner:
        return Owner(self.recipient_id, self.venue_id)

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


def request(tx: Tx, transfer_id: TransferId, share_id: ShareId, amount: Money, *, by: str) -> ReversalId:
    """Write that so much of a transfer is to come back.

    Raises:
        psycopg.errors.CheckViolation: more than was sent would come back.
        psycopg.errors.UniqueViolation: another reversal of the share is under way.
    """
    row = tx.execute(
        """
        INSERT INTO transfer_reversals (tenant_id, transfer_id, share_id, amount_minor, currency, state_by)
        VALUES (current_tenant(), %(transfer_id)s, %(share_id)s, %(amount)s, %(currency)s, %(by)s)
        RETURNING reversal_id
        """,
        {
            "transfer_id": transfer_id,
            "share_id": share_id,
            "amount": amount.minor,
            "currency": amount.currency,
            "by": by,
        },
    ).fetchone()
    assert row is not None, "an INSERT returns its row"
    return ReversalId(row[0])


def lock(tx: Tx, reversal_id: ReversalId) -> Reversal | None:
    """The reversal, its row locked (FOR UPDATE); None when the tenant has no such reversal.

    The transfer is not
    locked.
    """
    with tx.cursor(row_factory=class_row(Reversal)) as cursor:
        return cursor.execute(
            """
            SELECT v.tenant_id, v.reversal_id, v.transfer_id, v.share_id, s.payment_id, t.recipient_id, r.venue_id,
                   t.account_id, t.stripe_transfer_id, v.amount_minor, v.currency, v.state
            FROM transfer_reversals v
            JOIN transfers t USING (tenant_id, transfer_id)
            JOIN recipients r USING (tenant_id, recipient_id)
            JOIN shares s ON (s.tenant_id, s.share_id) = (v.tenant_id, v.share_id)
            WHERE v.reversal_id = %(id)s
            FOR UPDATE OF v
            """,
            {"id": reversal_id},
        ).fetchone()


def move(
    tx: Tx,
    reversal_id: UUID,
    state: ReversalState,
    *,
    by: str,
    reason: str | None = None,
    stripe_id: str | None = None,
    balance_transaction_id: str | None = None,
) -> bool:
    """True when this call made the move. To `short` gives back what the reversal reserved of its transfer.

    None for an id of Stripe keeps the one that is stored.
    """
    moved = tx.execute(
        """
        UPDATE transfer_reversals
        SET state = %(state)s, state_reason = %(reason)s, state_by = %(by)s,
            stripe_reversal_id = coalesce(%(stripe_id)s, stripe_reversal_id),
            balance_transaction_id = coalesce(%(balance)s, balance_transaction_id)
        WHERE reversal_id = %(id)s AND state || '' = ANY (%(leaving)s)
        """,
        {
            "id": reversal_id,
            "state": state.value,
            "reason": reason,
            "by": by,
            "stripe_id": stripe_id,
            "balance": balance_transaction_id,
            "leaving": leading_to(REVERSAL_MOVES, state),
        },
    )
    return moved.rowcount == 1
