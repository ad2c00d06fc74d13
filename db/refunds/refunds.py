"""Refunds: the row, how one is requested, then one function per legal move (states.py draws them).

Requesting reserves the amount on the charge, and the charge's CHECK refuses what would exceed the captured amount (M3):
a trigger does both, so no code path can leave it out. A failed, canceled or refused refund gives its reservation back
by the same trigger. As with payments, True means that this call made the move.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import errors
from psycopg.rows import class_row

from db.lifecycle import leading_to
from db.refunds.states import DEAD_REFUNDS, REFUND_MOVES, RefundState
from db.session import Tx
from messages.ids import OrderId, PaymentId, RefundId, TenantId, TicketId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund as read inside one transaction, with what its booking needs of the payment.

    source                           where it was requested; `outside`: at Stripe, without us
    request_key                      unique for the tenant: the same request sent again finds this row
    balance_transaction_id           None until the refund is in the ledger
    obligation_minor                 of the amount, what paid an older debt to the buyer; None until it is booked
    platform_fee_minor               of the amount, what the platform gave back of its fee; None until it is booked
    failure_balance_transaction_id   None unless it failed after it was booked, and that is in the ledger as well
    """

    tenant_id: TenantId
    refund_id: RefundId
    payment_id: PaymentId
    order_id: OrderId
    venue_id: VenueId
    payment_intent_id: str
    amount_minor: int
    currency: str
    reason: str
    note: str
    source: str
    request_key: str
    requested_by: str
    stripe_refund_id: str | None
    state: RefundState
    state_reason: str | None
    state_since: datetime
    balance_transaction_id: str | None
    obligation_minor: int | None
    platform_fee_minor: int | None
    failure_balance_transaction_id: str | None
    ticket_ids: list[UUID]

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", RefundState(self.state))

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def settled(self) -> bool:
        """True when nothing that Stripe reports now could change the ledger, short of a later failure by the buyer's
        bank.
        """
        booked = self.balance_transaction_id is not None
        reversed_ = self.failure_balance_transaction_id is not None
        if self.state is RefundState.FAILED:
            return reversed_ or not booked
        return self.state in DEAD_REFUNDS or (self.state is RefundState.SUCCEEDED and booked)


_SELECT = """
    SELECT
        r.tenant_id, r.refund_id, r.payment_id, p.order_id, p.venue_id, p.payment_intent_id, r.amount_minor, r.currency,
        r.reason, r.note, r.source, r.request_key, r.requested_by, r.stripe_refund_id, r.state, r.state_reason,
        r.state_since, r.balance_transaction_id, r.obligation_minor, r.platform_fee_minor,
        r.failure_balance_transaction_id,
        ARRAY(SELECT t.ticket_id FROM refund_tickets t
              WHERE (t.tenant_id, t.refund_id) = (r.tenant_id, r.refund_id) ORDER BY t.ticket_id) AS ticket_ids
    FROM refunds r
    JOIN payments p ON (p.tenant_id, p.payment_id) = (r.tenant_id, r.payment_id)
"""


def get(tx: Tx, refund_id: RefundId) -> Refund | None:
    """The refund; None when the tenant has no such refund. Its payment's row lock is what orders its moves."""
    with tx.cursor(row_factory=class_row(Refund)) as cursor:
        return cursor.execute(_SELECT + "WHERE r.refund_id = %(id)s", {"id": refund_id}).fetchone()


def by_request_key(tx: Tx, request_key: str) -> Refund | None:
    """The refund that this request made; None when it made none, so it is to be granted or refused now."""
    with tx.cursor(row_factory=class_row(Refund)) as cursor:
        return cursor.execute(_SELECT + "WHERE r.request_key = %(key)s", {"key": request_key}).fetchone()


def by_stripe_id(tx: Tx, stripe_refund_id: str) -> Refund | None:
    """The tenant's refund with this `re_` id; None when it is not ours: then it was made outside, and is to be
    recorded.
    """
    with tx.cursor(row_factory=class_row(Refund)) as cursor:
        return cursor.execute(_SELECT + "WHERE r.stripe_refund_id = %(id)s", {"id": stripe_refund_id}).fetchone()


def of_payment(tx: Tx, payment_id: PaymentId) -> list[Refund]:
    """Every refund of a payment, oldest first."""
    with tx.cursor(row_factory=class_row(Refund)) as cursor:
        return cursor.execute(
            _SELECT + "WHERE r.payment_id = %(id)s ORDER BY r.created_at, r.refund_id", {"id": payment_id}
        ).fetchall()


@dataclass(frozen=True, slots=True)
class Captured:
    """The money of a payment: what was captured, and how much of it refunds hold, whether made or under way."""

    captured: Money
    refunded: Money

    @property
    def left(self) -> Money:
        return self.captured - self.refunded


def captured(tx: Tx, payment_id: PaymentId) -> Captured | None:
    """None when nothing was captured."""
    row = tx.execute(
        "SELECT amount_minor, refunded_minor, currency FROM charges WHERE payment_id = %(id)s", {"id": payment_id}
    ).fetchone()
    return Captured(Money(row[0], row[2]), Money(row[1], row[2])) if row else None


@dataclass(frozen=True, slots=True)
class NewRefund:
    """A refund to be written. `request_key` is unique for the tenant: the same request sent twice is one refund.

    `ticket_ids` are the tickets that are given back; empty when the refund is a plain amount.
    """

    payment_id: PaymentId
    amount: Money
    ticket_ids: Sequence[TicketId]
    reason: str
    note: str
    source: str
    request_key: str
    by: str


class MoreThanCapturedError(ValueError):
    """The amount, with what live refunds hold already, would pass what was captured (M3)."""


class TicketRefundedError(ValueError):
    """One of the tickets is given back already, or is about to be."""


def request(tx: Tx, new: NewRefund) -> RefundId:
    """Write a refund as `requested` and reserve its amount. The caller holds the payment's row locked.

    Ask `by_request_key` first: a key that is there already is a UniqueViolation here, not an answer.

    Raises:
        MoreThanCapturedError, TicketRefundedError: nothing was written, and the transaction is still good.
    """
    try:
        with tx.transaction():  # a savepoint: the caller may answer the refusal in the same transaction
            return _insert(tx, new, state=RefundState.REQUESTED, stripe_refund_id=None)
    except errors.CheckViolation as error:
        if error.diag.constraint_name != "charges_refunds_within_captured":
            raise
        raise MoreThanCapturedError(f"{new.amount} is more than is left of the captured amount") from None
    except errors.UniqueViolation as error:
        if error.diag.constraint_name != "refund_tickets_once":
            raise
        raise TicketRefundedError("a ticket of these is given back already") from None


def record_outside(tx: Tx, new: NewRefund, *, state: RefundState, stripe_refund_id: str) -> RefundId:
    """Write a refund that was made at Stripe without us, in the state that Stripe reports; the only one that may begin
    so.

    Raises:
        psycopg.errors.CheckViolation: a request of ours holds the amount; it will be refused, and then there is room.
    """
    return _insert(tx, new, state=state, stripe_refund_id=stripe_refund_id)


def _insert(tx: Tx, new: NewRefund, *, state: RefundState, stripe_refund_id: str | None) -> RefundId:
    row = tx.execute(
        """
        WITH refund AS (
            INSERT INTO refunds (
                tenant_id, payment_id, amount_minor, currency, reason, note, source, request_key, requested_by,
                state, state_by, stripe_refund_id)
            VALUES (
                current_tenant(), %(payment_id)s, %(amount)s, %(currency)s, %(reason)s, %(note)s, %(source)s, %(key)s,
                %(by)s, %(state)s, %(by)s, %(stripe_id)s)
            RETURNING tenant_id, refund_id, payment_id
        ), tickets AS (
            INSERT INTO refund_tickets (tenant_id, refund_id, payment_id, ticket_id)
            SELECT tenant_id, refund_id, payment_id, ticket_id FROM refund, unnest(%(tickets)s::uuid[]) AS ticket_id
        )
        SELECT refund_id FROM refund
        """,
        {
            "payment_id": new.payment_id,
            "amount": new.amount.minor,
            "currency": new.amount.currency,
            "reason": new.reason,
            "note": new.note,
            "source": new.source,
            "key": new.request_key,
            "by": new.by,
            "state": state.value,
            "stripe_id": stripe_refund_id,
            "tickets": list(new.ticket_ids),
        },
    ).fetchone()
    assert row is not None, "an INSERT with RETURNING returns its row"
    return RefundId(row[0])


def begin_sending(tx: Tx, refund: Refund, *, by: str) -> bool:
    """requested -> sending; from here on a call to Stripe may be under way. Commit before the call (M6)."""
    return move(tx, refund, RefundState.SENDING, by=by)


def move(
    tx: Tx, refund: Refund, state: RefundState, *, by: str, reason: str | None = None, stripe_id: str | None = None
) -> bool:
    """Move to `state`, from whichever state the table of moves allows; False when it is in none of these.

    `stripe_id` None keeps the one that is stored; a different one is refused by the database. Moving to failed,
    canceled or refused frees the amount and the tickets for another refund.
    """
    moved = tx.execute(
        """
        UPDATE refunds
        SET state = %(state)s, state_reason = %(reason)s, state_by = %(by)s,
            stripe_refund_id = coalesce(%(stripe_id)s, stripe_refund_id)
        WHERE refund_id = %(refund_id)s AND state || '' = ANY (%(leaving)s)
        """,
        {
            "refund_id": refund.refund_id,
            "state": state.value,
            "reason": reason,
            "by": by,
            "stripe_id": stripe_id,
            "leaving": leading_to(REFUND_MOVES, state),
        },
    )
    return moved.rowcount == 1
