"""Replay checks of refunds, of the steps of a mass refund, and of what the order service asked for of either.

Reads only. Stripe is asked only where the outcome of a call is unknown; no transaction is open meanwhile.
"""

from dataclasses import replace

from db import stripe_calls
from db.disputes import disputes
from db.payments import orders
from db.refunds import mass_refunds, refunds
from db.session import Database
from messages.orders import EventCancelled, OrderCancelled, RefundOfOrderRequested
from messages.refunds import EventCancellationDue, RefundLookupRequested, RefundRequested
from outbox.intake.order_events import DecodedEvent
from stripe_client import refunds as stripe_refunds
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Absent
from workers.rules import replay_refunds
from workers.rules.replay_check import ReplayCheck, check_look_up, check_once, check_order_event
from workers.rules.replay_refunds import RefundFacts
from workers.runtime.call_facts import facts_of


def refund(msg: RefundRequested, db: Database, stripe: Gateway) -> ReplayCheck:
    """Whether sending the refund again could pay twice; Stripe is asked only while a call is unknown."""
    with db.transaction(msg.tenant_id) as tx:
        row = refunds.get(tx, msg.refund_id)
        facts = RefundFacts(
            state=row.state.value if row else None,
            amount=row.amount if row else None,
            disputed_by=disputes.forbids_refund(tx, msg.payment_id),
            call=facts_of(stripe_calls.live(tx, operation=stripe_refunds.CREATE, subject_id=msg.refund_id)),
        )
    if row is None or facts.state != "sending" or not facts.call.is_open:
        return replay_refunds.check_refund(facts)
    found = stripe_refunds.find(stripe, row.refund_id, payment_intent_id=row.payment_intent_id)
    at_stripe = "absent" if isinstance(found, Absent) else found.status
    return replay_refunds.check_refund(replace(facts, at_stripe=at_stripe))


def look_up(msg: RefundLookupRequested, db: Database) -> ReplayCheck:
    """A look-up only reads, so it is safe whenever the refund exists."""
    with db.transaction(msg.tenant_id) as tx:
        return check_look_up(known=refunds.get(tx, msg.refund_id) is not None, what="refund")


def mass_refund(msg: EventCancellationDue, db: Database) -> ReplayCheck:
    """Safe exactly while the mass refund still waits for the step that the message names."""
    with db.system_transaction() as tx:
        run = mass_refunds.get(tx, msg.cancellation_id)
    return check_once(known=run is not None, is_open=run is not None and run.takes(msg.step))


def refund_of_order(event: DecodedEvent, request: RefundOfOrderRequested | OrderCancelled, db: Database) -> ReplayCheck:
    """A refund that intake refused: it may have been made since, or its order may have come."""
    with db.transaction(event.tenant_id) as tx:
        payment_id = orders.payment_of(tx, request.order_id)
        made = refunds.by_request_key(tx, event.key)
        money = refunds.captured(tx, payment_id) if payment_id else None
    if payment_id is None:
        refusal = f"order {request.order_id} is unknown here"
        return check_order_event(refusal, known=False, same=False, amount=None)
    amount = request.amount if isinstance(request, RefundOfOrderRequested) else None
    left = money.left if money else None
    return check_order_event(None, known=made is not None, same=True, amount=amount or left)


def event_cancelled(event: DecodedEvent, request: EventCancelled, db: Database) -> ReplayCheck:
    """Already done once the event has a mass refund, whoever began it."""
    with db.transaction(event.tenant_id) as tx:
        run = mass_refunds.of_event(tx, event.tenant_id, request.event_id)
    return check_order_event(None, known=run is not None, same=True, amount=None)
