"""Requests of the order service: refund or cancel an order, cancel or reschedule an event, or something about a group.
Executed in the caller's transaction.

Harmless twice: the event's own name is the request's key, so the same event is one refund; cancelling what is being
cancelled changes nothing. What may be requested is decided in outbox/requests; here events are translated into it.
"""

from db.payments import orders
from db.session import Tx
from db.shares import sale_terms
from db.tenants import tenants
from messages.groups import GroupCancelled, GroupOpened, GroupSharePaidWith, GroupToppedUp
from messages.ids import PaymentId
from messages.orders import EventCancelled, EventScheduled, OrderCancelled, RefundOfOrderRequested
from messages.runtime import trace
from messages.runtime.redaction import redact_text
from outbox.intake.order_events import DecodedEvent, GroupWish, Wish
from outbox.requests import groups
from outbox.requests.groups import GroupRefusedError
from outbox.requests.mass_refunds import cancel_event
from outbox.requests.orders import OrderOutcome, UnacceptableOrder
from outbox.requests.refunds import NotRefundableError, RefundAnswer, give_everything_back, request_refund

SOURCE = "order_event"


def grant(tx: Tx, event: DecodedEvent, wish: Wish, *, by: str) -> OrderOutcome:
    """Do what the event requests, in the tenant's transaction `tx`; `by` is recorded as who requested it.

    Returns ACCEPTED when something was recorded, and DUPLICATE when the same request was there before.

    Raises:
        UnacceptableOrder: the order, group or venue is unknown, or the request is not permitted in its state.
        psycopg.errors.LockNotAvailable: the payment's row is locked for too long; the caller postpones the event.
    """
    if isinstance(wish, EventCancelled):
        return _call_off(tx, event, wish, by)
    if isinstance(wish, GroupWish):
        return _of_group(tx, event, wish, by)
    if isinstance(wish, EventScheduled):
        return _schedule(tx, wish)
    payment_id = orders.payment_of(tx, wish.order_id)
    if payment_id is None:
        raise UnacceptableOrder(f"order {wish.order_id} is unknown here; replay this once the order has come")
    try:
        with trace.following(event.trace_id):
            answer = _ask(tx, payment_id, event, wish, by)
    except NotRefundableError as error:
        raise UnacceptableOrder(str(error)) from None
    return OrderOutcome.ACCEPTED if answer.new or answer.canceling else OrderOutcome.DUPLICATE


def _call_off(tx: Tx, event: DecodedEvent, wish: EventCancelled, by: str) -> OrderOutcome:
    """Cancel a whole event. One without a single order is cancelled as well: its orders may still be on their way."""
    with trace.following(event.trace_id):
        _, new = cancel_event(tx, wish.tenant_id, wish.event_id, note=redact_text(wish.note), by=by)
    return OrderOutcome.ACCEPTED if new else OrderOutcome.DUPLICATE


def _of_group(tx: Tx, event: DecodedEvent, wish: GroupWish, by: str) -> OrderOutcome:
    try:
        with trace.following(event.trace_id):
            match wish:
                case GroupOpened():
                    return groups.open_group(tx, wish, told_by=event.key, by=by)
                case GroupCancelled():
                    return groups.call_off(tx, wish.group_id, reason=redact_text(wish.note) or "order_cancelled", by=by)
                case GroupSharePaidWith():
                    begun = groups.pay_share(tx, wish, by=by)
                case GroupToppedUp():
                    begun = groups.top_up(tx, wish, by=by)
    except GroupRefusedError as error:
        raise UnacceptableOrder(str(error)) from None
    return OrderOutcome.ACCEPTED if begun.new else OrderOutcome.DUPLICATE


def _schedule(tx: Tx, wish: EventScheduled) -> OrderOutcome:
    """Record when an event ends, on which its release from escrow depends; it replaces a time that an order
    mentioned.
    """
    if wish.venue_id not in tenants.venue_currencies(tx):
        raise UnacceptableOrder(f"venue {wish.venue_id} is unknown to this tenant")
    told = {"event_id": str(wish.event_id), "venue_id": str(wish.venue_id), "ends_at": wish.ends_at.isoformat()}
    return OrderOutcome.ACCEPTED if sale_terms.schedule_events(tx, [told], overrule=True) else OrderOutcome.DUPLICATE


def _ask(
    tx: Tx, payment_id: PaymentId, event: DecodedEvent, wish: OrderCancelled | RefundOfOrderRequested, by: str
) -> RefundAnswer:
    note = redact_text(wish.note)
    match wish:
        case OrderCancelled():
            return give_everything_back(
                tx,
                payment_id=payment_id,
                reason="order_cancelled",
                note=note,
                source=SOURCE,
                request_key=event.key,
                by=by,
            )
        case RefundOfOrderRequested():
            return request_refund(
                tx,
                payment_id=payment_id,
                amount=wish.amount,
                ticket_ids=wish.ticket_ids,
                reason=wish.reason,
                note=note,
                source=SOURCE,
                request_key=event.key,
                by=by,
            )
