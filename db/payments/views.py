"""How one payment stands, for whoever asks over the API: one SELECT, with its moves."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString

from psycopg.rows import class_row

from db.payments.states import PaymentState
from db.session import Tx
from messages.ids import OrderId, PaymentId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class PaymentStateChange:
    at: datetime
    to_state: PaymentState
    reason: str | None


@dataclass(frozen=True, slots=True)
class PaymentDetails:
    """`platform_fee_minor` is None until charging begins. `captured_minor` counts what Stripe took, `refunded_minor`
    what live refunds hold of it.
    """

    payment_id: PaymentId
    order_id: OrderId
    venue_id: VenueId
    buyer_id: str
    amount_minor: int
    currency: str
    capture: Literal["automatic", "manual"]
    state: PaymentState
    state_reason: str | None
    platform_fee_minor: int | None
    captured_minor: int
    refunded_minor: int
    created_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", PaymentState(self.state))

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def captured(self) -> Money:
        return Money(self.captured_minor, self.currency)

    @property
    def refunded(self) -> Money:
        return Money(self.refunded_minor, self.currency)

    @property
    def platform_fee(self) -> Money | None:
        return None if self.platform_fee_minor is None else Money(self.platform_fee_minor, self.currency)


_SELECT: LiteralString = """
    SELECT
        p.payment_id, p.order_id, p.venue_id, p.buyer_id, p.amount_minor, p.currency, p.capture, p.state,
        p.state_reason, p.platform_fee_minor, coalesce(c.amount_minor, 0) AS captured_minor,
        coalesce(c.refunded_minor, 0) AS refunded_minor, p.created_at
    FROM payments p
    LEFT JOIN charges c USING (tenant_id, payment_id)
"""


def of_payment(tx: Tx, payment_id: PaymentId) -> PaymentDetails | None:
    """None when the transaction's tenant has no such payment."""
    with tx.cursor(row_factory=class_row(PaymentDetails)) as cursor:
        return cursor.execute(_SELECT + "WHERE p.payment_id = %(id)s", {"id": payment_id}).fetchone()


def of_order(tx: Tx, order_id: OrderId) -> PaymentDetails | None:
    """None when the transaction's tenant has no such order."""
    with tx.cursor(row_factory=class_row(PaymentDetails)) as cursor:
        return cursor.execute(_SELECT + "WHERE p.order_id = %(id)s", {"id": order_id}).fetchone()


def moves_of(tx: Tx, payment_id: PaymentId) -> list[PaymentStateChange]:
    """Every move, the oldest first."""
    with tx.cursor(row_factory=class_row(PaymentStateChange)) as cursor:
        return cursor.execute(
            "SELECT at, to_state, reason FROM payment_history WHERE payment_id = %(payment_id)s ORDER BY seq",
            {"payment_id": payment_id},
        ).fetchall()
