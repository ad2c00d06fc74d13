"""Payments: the row, then one function per legal move (states.py draws them).

A move is an UPDATE that names the states it may leave. True means that this call made the move; False means that
another was first, which is never an error: the caller appends what follows only after True. Triggers write the history
and `state_since`, and refuse an illegal move or a second intent (M7), whatever Python asked for.

`state || ''` is the state, in a form that no partial index can answer. With the bare column PostgreSQL saw that the
index of moving payments would do, took it for nearly empty, and read everything that waited in order to claim one
payment; the primary key finds it at once. Conditions elsewhere that append '' do so for the same reason.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.lifecycle import leading_to
from db.payments.states import PAYMENT_MOVES, PaymentState
from db.session import Tx
from messages.fees import FeePlan
from messages.ids import OrderId, PaymentId, RecipientId, TenantId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as read inside one transaction, with its venue's fee plan and settings as they are today.

    platform_fee_minor        None until charging begins; from then on it is what was agreed, whatever the plan becomes
    capture                   automatic, or manual: the card is authorised first and captured by a later request
    seconds_in_state          by the database's clock, which also wrote state_since
    sale, seller_id           primary or resale; only a resale has a seller, who is a recipient
    settlement_mode           the venue's today, separate or destination: it decides what a new intent is
    cancel_reason             None: nobody has asked to cancel; otherwise a worker carries that out
    capture_requested_minor   None: nobody has asked to capture; otherwise the amount that a worker captures
    capture_before            when Stripe ends the authorisation; None when nothing is held or Stripe gave no date
    fully_booked              the charge exists and its Stripe fee is known
    mints                     the venue mints its tickets today
    """

    tenant_id: TenantId
    payment_id: PaymentId
    order_id: OrderId
    venue_id: VenueId
    amount_minor: int
    currency: str
    platform_fee_minor: int | None
    capture: str
    payment_method_id: str
    customer_id: str | None
    payment_intent_id: str | None
    state: PaymentState
    state_since: datetime
    seconds_in_state: float
    basis_points: int
    fixed_minor: int
    plan_currency: str
    plan_minimum_minor: int
    plan_maximum_minor: int | None
    sale: str
    seller_id: RecipientId | None
    settlement_mode: str
    cancel_reason: str | None
    capture_requested_minor: int | None
    capture_before: datetime | None
    group_id: UUID | None
    fully_booked: bool
    mints: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", PaymentState(self.state))

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def plan(self) -> FeePlan:
        return FeePlan(
            self.basis_points, self.fixed_minor, self.plan_currency, self.plan_minimum_minor, self.plan_maximum_minor
        )


_SELECT = """
    SELECT
        p.tenant_id, p.payment_id, p.order_id, p.venue_id, p.amount_minor, p.currency, p.platform_fee_minor, p.capture,
        p.payment_method_id, p.customer_id, p.payment_intent_id, p.state, p.state_since,
        extract(epoch FROM clock_timestamp() - p.state_since)::float8 AS seconds_in_state,
        f.basis_points, f.fixed_minor, f.currency AS plan_currency, f.minimum_minor AS plan_minimum_minor,
        f.maximum_minor AS plan_maximum_minor, p.sale, p.seller_id, v.settlement_mode,
        p.cancel_reason, p.capture_requested_minor, p.capture_before, p.group_id,
        EXISTS (
            SELECT FROM charges c
            WHERE c.tenant_id = p.tenant_id AND c.payment_id = p.payment_id AND c.balance_transaction_id IS NOT NULL
        ) AS fully_booked,
        EXISTS (
            SELECT FROM mint_settings m WHERE (m.tenant_id, m.venue_id) = (p.tenant_id, p.venue_id) AND m.mints = 'on'
        ) AS mints
    FROM payments p
    JOIN venues v ON (v.tenant_id, v.venue_id) = (p.tenant_id, p.venue_id)
    JOIN fee_plans f ON (f.tenant_id, f.fee_plan_id) = (v.tenant_id, v.fee_plan_id)
    WHERE p.payment_id = %(payment_id)s
"""


def get(tx: Tx, payment_id: PaymentId) -> Payment | None:
    """The payment, unlocked; None when the tenant has no such payment."""
    with tx.cursor(row_factory=class_row(Payment)) as cursor:
        return cursor.execute(_SELECT, {"payment_id": payment_id}).fetchone()


def lock(tx: Tx, payment_id: PaymentId) -> Payment | None:
    """The payment, its row locked until the transaction ends (FOR UPDATE); None when the tenant has no such payment.

    This lock orders everything that happens to a payment: refunds and disputes have none of their own, and take it
    first. It waits at most the connection's lock timeout (db/session.py). Venue and fee plan are read, and not locked.
    """
    with tx.cursor(row_factory=class_row(Payment)) as cursor:
        # Of the payment alone: with the venue's row locked, too, each sale of a venue would wait for the one before it.
        return cursor.execute(_SELECT + "FOR UPDATE OF p", {"payment_id": payment_id}).fetchone()


def find_by_intent(tx: Tx, payment_intent_id: str) -> tuple[TenantId, PaymentId] | None:
    """Whose payment has this intent; None when no payment has. In a system transaction it looks across tenants.

    A webhook names an intent and no tenant, so this is how an event finds the tenant in whose transaction it is
    handled.
    """
    row = tx.execute(
        "SELECT tenant_id, payment_id FROM payments WHERE payment_intent_id = %(intent)s",
        {"intent": payment_intent_id},
    ).fetchone()
    return (TenantId(row[0]), PaymentId(row[1])) if row else None


def find_by_charge(tx: Tx, charge_id: str) -> tuple[TenantId, PaymentId] | None:
    """Whose payment has this charge; None when none has. Disputes and fraud warnings name a charge and no intent."""
    row = tx.execute("SELECT tenant_id, payment_id FROM charges WHERE charge_id = %(id)s", {"id": charge_id}).fetchone()
    return (TenantId(row[0]), PaymentId(row[1])) if row else None


def begin_charging(tx: Tx, payment_id: PaymentId, *, platform_fee_minor: int, by: str) -> bool:
    """requested -> charging, and the fee is fixed; from here on a call to Stripe may be under way.

    False: another delivery began, or the payment was cancelled before anything was sent. Commit before the call (M6).
    """
    moved = tx.execute(
        """
        UPDATE payments
        SET state = 'charging', state_reason = NULL, state_by = %(by)s, platform_fee_minor = %(fee)s
        WHERE payment_id = %(payment_id)s AND state || '' = 'requested'
        """,
        {"payment_id": payment_id, "fee": platform_fee_minor, "by": by},
    )
    return moved.rowcount == 1


def wish_to_cancel(tx: Tx, payment_id: PaymentId, *, reason: str, by: str) -> bool:
    """Store the request to cancel; False when one is stored already, whose reason and requester stay.

    Nothing is cancelled by this, in any state: the caller appends the message of the worker that does it.
    """
    kept = tx.execute(
        """
        UPDATE payments
        SET cancel_requested_at = clock_timestamp(), cancel_reason = %(reason)s, cancel_requested_by = %(by)s
        WHERE payment_id = %(payment_id)s AND cancel_requested_at IS NULL
        """,
        {"payment_id": payment_id, "reason": reason, "by": by},
    )
    return kept.rowcount == 1


def wish_to_capture(tx: Tx, payment_id: PaymentId, *, amount_minor: int) -> None:
    """Store the amount to capture, in the payment's currency; an earlier request stays, whatever its amount."""
    tx.execute(
        """
        UPDATE payments SET capture_requested_minor = %(amount)s
        WHERE payment_id = %(payment_id)s AND capture_requested_minor IS NULL
        """,
        {"payment_id": payment_id, "amount": amount_minor},
    )


@dataclass(frozen=True, slots=True)
class PaymentAttempt:
    """One try to pay, as it ended; written in the statement of the move that it caused, or not at all.

    `outcome` is charged, declined or refused. `call_id` is the row of `calls` whose answer this is, None when there is
    no such call. `decline_code` is Stripe's (docs.stripe.com/declines/codes), or the code of its refusal; None when
    charged.
    """

    call_id: UUID | None
    outcome: str
    decline_code: str | None = None


def mark_succeeded(
    tx: Tx, payment: Payment, *, intent_id: str, platform_fee_minor: int, attempt: PaymentAttempt, by: str
) -> bool:
    """The money was taken. Only after True may the charge and its journal be written: this move happens once (M1)."""
    return _move(tx, payment, PaymentState.SUCCEEDED, intent_id, None, by, platform_fee_minor, attempt)


def mark_authorized(tx: Tx, payment: Payment, *, intent_id: str, capture_before: datetime | None, by: str) -> bool:
    """The amount is held on the card until `capture_before`, as Stripe gives it with the authorisation; None keeps no
    date.
    """
    moved = _move(tx, payment, PaymentState.AUTHORIZED, intent_id, None, by)
    if moved and capture_before is not None:
        tx.execute(
            "UPDATE payments SET capture_before = %(before)s WHERE payment_id = %(payment_id)s",
            {"payment_id": payment.payment_id, "before": capture_before},
        )
    return moved


def mark_requires_action(tx: Tx, payment: Payment, *, intent_id: str, by: str) -> bool:
    """The buyer must act (3-D Secure, for one): nothing more is sent until Stripe reports what came of it."""
    return _move(tx, payment, PaymentState.REQUIRES_ACTION, intent_id, None, by)


def mark_processing(tx: Tx, payment: Payment, *, intent_id: str, by: str) -> bool:
    """The payment method is not instant: success or failure follows by webhook, perhaps days later."""
    return _move(tx, payment, PaymentState.PROCESSING, intent_id, None, by)


def mark_failed(
    tx: Tx, payment: Payment, *, intent_id: str | None, reason: str, attempt: PaymentAttempt, by: str
) -> bool:
    """Declined, and not for good: another card may still pay the same intent.

    `intent_id` None keeps the one that is known.
    """
    return _move(tx, payment, PaymentState.FAILED, intent_id, reason, by, None, attempt)


def mark_canceled(tx: Tx, payment: Payment, *, intent_id: str | None, reason: str, by: str) -> bool:
    """Cancelled for good; the database refuses every later move. `intent_id` None when nothing was ever sent."""
    return _move(tx, payment, PaymentState.CANCELED, intent_id, reason, by)


def _move(
    tx: Tx,
    payment: Payment,
    state: PaymentState,
    intent_id: str | None,
    reason: str | None,
    by: str,
    platform_fee_minor: int | None = None,
    attempt: PaymentAttempt | None = None,
) -> bool:
    """Move from any state that leads to `state`, and number the attempt after the last one.

    The number is read and then inserted, so two moves at once could pick the same: the caller holds the payment's row
    locked. None for intent or fee keeps what is stored.
    """
    moved = tx.execute(
        """
        WITH moved AS (
            UPDATE payments
            SET state = %(state)s, state_reason = %(reason)s, state_by = %(by)s,
                payment_intent_id = coalesce(%(intent_id)s, payment_intent_id),
                platform_fee_minor = coalesce(%(fee)s, platform_fee_minor)
            WHERE payment_id = %(payment_id)s AND state || '' = ANY (%(leaving)s)
            RETURNING tenant_id, payment_id, payment_method_id
        ), tried AS (
            INSERT INTO payment_attempts (
                tenant_id, payment_id, attempt, payment_method_id, call_id, outcome, decline_code)
            SELECT
                tenant_id, payment_id,
                (SELECT coalesce(max(attempt), 0) + 1 FROM payment_attempts WHERE payment_id = %(payment_id)s),
                payment_method_id, %(call_id)s, %(outcome)s, %(decline_code)s
            FROM moved
            WHERE %(outcome)s::text IS NOT NULL
        )
        SELECT FROM moved
        """,
        {
            "payment_id": payment.payment_id,
            "state": state.value,
            "reason": reason,
            "by": by,
            "intent_id": intent_id,
            "fee": platform_fee_minor,
            "leaving": leading_to(PAYMENT_MOVES, state),
            "call_id": attempt and attempt.call_id,
            "outcome": attempt and attempt.outcome,
            "decline_code": attempt and attempt.decline_code,
        },
    )
    return moved.rowcount == 1
