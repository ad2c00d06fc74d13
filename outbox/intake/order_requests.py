"""Requests of the order service: refund or cancel an order, cancel or reschedule an event, or something about a group.
Executed in the caller's transaction.

Harmless twice: the event's own name is the request's key, so the same event is one refund; cancelling what is being
cancelled changes nothing. What may be requested is decided in outbox/requests; here events are translated into it.
"""

from db.session import Tx
from messages.groups import GroupCancelled, GroupOpened, GroupSharePaidWith, GroupToppedUp
from messages.orders import EventCancelled, EventScheduled, OrderCancelled, RefundOfOrderRequested
from messages.runtime import trace
from messages.runtime.redaction import redact_text
from outbox.intake.order_events import DecodedEvent, GroupRequest, ServiceRequest
from outbox.requests import groups
from outbox.requests.event_schedule import schedule_event
from outbox.requests.mass_refunds import cancel_event
from outbox.requests.orders import OrderOutcome, UnacceptableOrder
from outbox.requests.payments import payment_of_order
from outbox.requests.refunds import RefundAnswer, give_everything_back, request_refund
from outbox.requests.refusals import RefusedError

SOURCE = "order_event"


def grant(tx: Tx, event: DecodedEvent, request: ServiceRequest, *, by: str) -> OrderOutcome:
    """Do what the event requests, in the tenant's transaction `tx`; `by` is recorded as who requested it.

    Returns ACCEPTED when something was recorded, and DUPLICATE when the same request was there before.

    Raises:
        UnacceptableOrder: the order, group or venue is unknown, or the request is not permitted in its state.
        psycopg.errors.LockNotAvailable: the payment's row is locked for too long; the caller postpones the event.
    """
    try:
        with trace.following(event.trace_id):
            changed = _granted(tx, event, request, by)
    except RefusedError as error:
        raise UnacceptableOrder(str(error)) from None
    return OrderOutcome.ACCEPTED if changed else OrderOutcome.DUPLICATE


def _granted(tx: Tx, event: DecodedEvent, request: ServiceRequest, by: str) -> bool:
    """Whether the event changed anything; an event that comes again does not."""
    match request:
        case OrderCancelled() | RefundOfOrderRequested():
            answer = _refund(tx, event, request, by)
            return answer.new or answer.canceling
        case EventCancelled():  # also without a single order: they may be on their way
            _, new = cancel_event(tx, request.tenant_id, request.event_id, note=redact_text(request.note), by=by)
            return new
        case EventScheduled():
            return schedule_event(tx, request)
        case _:
            return _of_group(tx, event, request, by)


def _of_group(tx: Tx, event: DecodedEvent, request: GroupRequest, by: str) -> bool:
    match request:
        case GroupOpened():
            return groups.open_group(tx, request, told_by=event.key, by=by) is OrderOutcome.ACCEPTED
        case GroupCancelled():
            reason = redact_text(request.note) or "order_cancelled"
            return groups.call_off(tx, request.group_id, reason=reason, by=by) is OrderOutcome.ACCEPTED
        case GroupSharePaidWith():
            return groups.pay_share(tx, request, by=by).new
        case GroupToppedUp():
            return groups.top_up(tx, request, by=by).new


def _refund(tx: Tx, event: DecodedEvent, request: OrderCancelled | RefundOfOrderRequested, by: str) -> RefundAnswer:
    payment_id, note = payment_of_order(tx, request.order_id), redact_text(request.note)
    if isinstance(request, OrderCancelled):
        return give_everything_back(
            tx,
            payment_id=payment_id,
            reason="order_cancelled",
            note=note,
            source=SOURCE,
            request_key=event.key,
            by=by,
        )
    return request_refund(
        tx,
        payment_id=payment_id,
        amount=request.amount,
        ticket_ids=request.ticket_ids,
        reason=request.reason,
        note=note,
        source=SOURCE,
        request_key=event.key,
        by=by,
    )
