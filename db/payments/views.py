"""Payments for reading: one with its moves, for the tenant's API; and a search by any id, for operators.

The API's functions run in a tenant transaction and see its rows alone; the search reads across tenants in an ops
transaction. Nothing here locks, so nothing here may decide about money.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.payments.states import PaymentState
from db.session import Tx
from db.text import uuid_or_none
from messages.ids import OrderId, PaymentId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class PaymentStateChange:
    """One move. `reason` is None for moves that need none; why it failed or was cancelled otherwise."""

    at: datetime
    to_state: PaymentState
    reason: str | None


@dataclass(frozen=True, slots=True)
class PaymentDetails:
    """A payment as its tenant sees it; all amounts are minor units of `currency`.

    platform_fee_minor   None until charging begins
    captured_minor       what Stripe took; 0 until then
    refunded_minor       what refunds hold of it: those made, and those still under way; failed ones are not counted
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
    """Every move, the oldest first; the first one is the payment's beginning.

    Empty when the tenant has no such payment.
    """
    with tx.cursor(row_factory=class_row(PaymentStateChange)) as cursor:
        return cursor.execute(
            "SELECT at, to_state, reason FROM payment_history WHERE payment_id = %(payment_id)s ORDER BY seq",
            {"payment_id": payment_id},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class FoundPayment:
    """A payment in an operator's list, of any tenant. `charge_id` is None until the money was taken.

    `open_dead_letters` counts the dead letters of this payment that still wait for a person.
    """

    tenant_id: UUID
    tenant_name: str
    payment_id: UUID
    order_id: UUID
    payment_intent_id: str | None
    charge_id: str | None
    amount_minor: int
    currency: str
    platform_fee_minor: int | None
    state: str
    state_reason: str | None
    state_since: datetime
    created_at: datetime
    open_dead_letters: int


_FOUND = """
    SELECT p.tenant_id, t.name AS tenant_name, p.payment_id, p.order_id, p.payment_intent_id, c.charge_id,
           p.amount_minor, p.currency, p.platform_fee_minor, p.state, p.state_reason, p.state_since, p.created_at,
           (SELECT count(*) FROM dead_letters d WHERE d.payment_id = p.payment_id AND d.state = 'open')
               AS open_dead_letters
    FROM payments p
    JOIN tenants t USING (tenant_id)
    LEFT JOIN charges c USING (tenant_id, payment_id)
"""


def search(tx: Tx, text: str, *, limit: int, offset: int = 0) -> list[FoundPayment]:
    """Payments that carry this id, the newest first; empty for a text that is no id. Needs an ops transaction.

    A UUID is taken for a payment's, an order's or a tenant's (then: all its payments); other text for Stripe's id of an
    intent or a charge. No part of an id is enough.
    """
    wanted = text.strip()
    as_uuid = uuid_or_none(wanted)
    with tx.cursor(row_factory=class_row(FoundPayment)) as cursor:
        if as_uuid is not None:
            return cursor.execute(
                _FOUND
                + """
                WHERE p.payment_id = %(id)s OR p.order_id = %(id)s OR p.tenant_id = %(id)s
                ORDER BY p.payment_id DESC LIMIT %(limit)s OFFSET %(offset)s
                """,
                {"id": as_uuid, "limit": limit, "offset": offset},
            ).fetchall()
        return cursor.execute(
            _FOUND
            + """
            WHERE p.payment_intent_id = %(id)s OR c.charge_id = %(id)s
            ORDER BY p.payment_id DESC LIMIT %(limit)s OFFSET %(offset)s
            """,
            {"id": wanted, "limit": limit, "offset": offset},
        ).fetchall()


def newest(tx: Tx, *, limit: int, offset: int = 0) -> list[FoundPayment]:
    """The payments accepted last, of all tenants in an ops transaction."""
    with tx.cursor(row_factory=class_row(FoundPayment)) as cursor:
        return cursor.execute(
            _FOUND + "ORDER BY p.created_at DESC LIMIT %(limit)s OFFSET %(offset)s", {"limit": limit, "offset": offset}
        ).fetchall()
