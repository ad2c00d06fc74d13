"""Replay checks of a payment's messages, and of the order that the order service sent.

Reads only. Stripe is asked only where the outcome of a call is unknown; no transaction is open meanwhile.
"""

from dataclasses import replace
from datetime import UTC, datetime

from db import stripe_calls
from db.payments import orders, payments
from db.payments.payments import Payment
from db.session import Database
from messages.money import Money
from messages.payments import ChargeRequested, PaymentLookupRequested
from messages.refunds import CancelRequested, CaptureRequested
from outbox.intake.order_events import DecodedEvent
from outbox.requests.orders import OrderRequest, as_new_order, check_venues
from stripe_client import payment_intents
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Absent
from workers.rules import replay_payments
from workers.rules.replay_check import ReplayCheck, check_look_up, check_order_event
from workers.rules.replay_payments import CaptureFacts, ChargeFacts
from workers.runtime.call_facts import facts_of


def charge(msg: ChargeRequested, db: Database, stripe: Gateway) -> ReplayCheck:
    """Whether charging again would take money: it asks Stripe when the call is unknown and its key may be forgotten."""
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.get(tx, msg.payment_id)
        call = stripe_calls.live(tx, operation=payment_intents.CREATE, subject_id=msg.payment_id)
    if payment is None:
        return replay_payments.check_charge(ChargeFacts(None, None))
    facts = ChargeFacts(payment.state.value, payment.amount, facts_of(call))
    if call is None or not facts.stripe_must_be_asked:
        return replay_payments.check_charge(facts)
    found = payment_intents.find(
        stripe, msg.payment_id, customer_id=payment.customer_id, since_epoch=call.first_sent_epoch
    )
    at_stripe = "absent" if isinstance(found, Absent) else type(found).__name__
    return replay_payments.check_charge(replace(facts, at_stripe=at_stripe))


def look_up(msg: PaymentLookupRequested, db: Database) -> ReplayCheck:
    """A look-up only reads, so it is safe whenever the payment exists."""
    with db.transaction(msg.tenant_id) as tx:
        return check_look_up(known=payments.get(tx, msg.payment_id) is not None, what="payment")


def cancel(msg: CancelRequested, db: Database) -> ReplayCheck:
    """Safe while the payment's stored cancellation is not carried out yet."""
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.get(tx, msg.payment_id)
    requested = payment is not None and payment.cancel_reason is not None
    return replay_payments.check_cancel(payment.state.value if payment else None, requested=requested)


def capture(msg: CaptureRequested, db: Database, stripe: Gateway) -> ReplayCheck:
    """Whether a capture is still possible and wanted; Stripe is asked only when a call may have been sent already.

    The end of the hold is compared with this machine's clock: it is a hint for a person, and Stripe decides.
    """
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.get(tx, msg.payment_id)
        call = stripe_calls.live(tx, operation=payment_intents.CAPTURE, subject_id=msg.payment_id)
    if payment is None:
        return replay_payments.check_capture(CaptureFacts(None, None))
    facts = CaptureFacts(
        state=payment.state.value,
        requested=_requested(payment),
        hold_has_ended=payment.capture_before is not None and payment.capture_before < datetime.now(UTC),
        call=facts_of(call),
    )
    if payment.payment_intent_id is None or facts.state != "authorized" or not facts.call.is_open:
        return replay_payments.check_capture(facts)
    at_stripe = type(payment_intents.retrieve(stripe, payment.payment_intent_id)).__name__
    return replay_payments.check_capture(replace(facts, at_stripe=at_stripe))


def _requested(payment: Payment) -> Money | None:
    if payment.capture_requested_minor is None:
        return None
    return Money(payment.capture_requested_minor, payment.currency)


def order(event: DecodedEvent, request: OrderRequest, db: Database) -> ReplayCheck:
    """An order that intake refused: its tenant may be registered by now, or the order may have come again.

    Raises:
        UnacceptableOrder: its venue is still unknown.
    """
    with db.transaction(event.tenant_id) as tx:
        check_venues(tx, [request.order])
        first = orders.fingerprint_of(tx, as_new_order(request))
    same = first == request.fingerprint
    return check_order_event(None, known=first is not None, same=same, amount=request.order.amount)
