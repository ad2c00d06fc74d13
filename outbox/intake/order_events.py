"""Reading an order event: bytes -> CloudEvent -> one of the event types we accept from the order service. No database.

It checks form and version, and the rules that one event can break by itself. Whether its order, venue or tenant exists
is checked in the transaction that accepts it.
"""

from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError

from messages.base import CloudEvent, dataschema
from messages.groups import GroupCancelled, GroupOpened, GroupSharePaidWith, GroupToppedUp
from messages.ids import TenantId
from messages.orders import EventCancelled, EventScheduled, OrderCancelled, OrderPlaced, RefundOfOrderRequested
from messages.queues import LARGEST_ORDER_BYTES
from messages.resales import OrderResold
from messages.runtime import trace
from outbox.requests.orders import OrderRequest, UnacceptableOrder

GroupRequest = GroupOpened | GroupSharePaidWith | GroupToppedUp | GroupCancelled
ServiceRequest = RefundOfOrderRequested | OrderCancelled | EventCancelled | EventScheduled | GroupRequest
WORDS: dict[str, type[OrderPlaced | ServiceRequest]] = {
    word.event_type: word
    for word in (
        *(OrderPlaced, OrderResold, RefundOfOrderRequested, OrderCancelled, EventCancelled, EventScheduled),
        *(GroupOpened, GroupSharePaidWith, GroupToppedUp, GroupCancelled),
    )
}


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """One event as it arrived.

    Attributes:
        body: the bytes as they were delivered; a dead letter keeps these.
        reference: the transport's own message id, for events too broken to have one; None when the sender set none.
        replay_of: the dead letter of which this is the replay; None for an event of the order service.
    """

    body: bytes
    reference: str | None = None
    replay_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """A valid event: `content` is a new order, or a request about an order, a group or a scheduled event.

    `trace_id` is that of the event's `traceparent`, or a new one when it has none.
    """

    incoming: IncomingEvent
    event: CloudEvent
    tenant_id: TenantId
    trace_id: str
    content: OrderRequest | ServiceRequest

    @property
    def key(self) -> str:
        """`source#id`, which CloudEvents 1.0 requires to be unique: the request key that makes a second delivery
        harmless.
        """
        return f"{self.event.source}#{self.event.id}"


def decode(incoming: IncomingEvent) -> DecodedEvent:
    """Read an order event without touching the database.

    Raises:
        UnacceptableOrder: it is too large, no CloudEvent, of another type or version, or its content breaks a rule. The
            message names fields and rules, and never quotes a value of the payload.
    """
    if len(incoming.body) > LARGEST_ORDER_BYTES:
        raise UnacceptableOrder(f"the event has {len(incoming.body)} bytes; {LARGEST_ORDER_BYTES} are the most we read")
    try:
        event = CloudEvent.model_validate_json(incoming.body)
    except ValidationError as error:
        raise UnacceptableOrder(f"no CloudEvent 1.0 in structured JSON: {_first_problem(error)}") from None
    word = WORDS.get(event.type)
    if word is None:
        raise UnacceptableOrder(f"events of type {event.type!r} are not handled here")
    if event.dataschema != (known := dataschema(word.event_type, word.version)):
        raise UnacceptableOrder(f"version {event.dataschema!r} of {event.type} is unknown; we read {known!r}")
    try:
        content = word.model_validate(event.data)
    except ValidationError as error:
        raise UnacceptableOrder(f"the order breaks a rule: {_first_problem(error)}") from None
    told = event.traceparent.split("-")[1] if event.traceparent else ""
    trace_id = told if trace.is_trace_id(told) else trace.new()
    if isinstance(content, OrderPlaced):
        offer = OrderRequest.of(content, source=event.source, source_id=event.id, trace_id=trace_id)
        return DecodedEvent(incoming, event, content.tenant_id, trace_id, offer)
    return DecodedEvent(incoming, event, content.tenant_id, trace_id, content)


def _first_problem(error: ValidationError) -> str:
    """The first validation error as a sentence, without the value: it may be personal or card data."""
    detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    more = error.error_count() - 1
    said = f"{place}: {detail['msg']}" if place else detail["msg"]
    return said + (f" (and {more} more)" if more else "")
