"""Reading an order event: bytes -> CloudEvent -> one of the words we take from the order service. No database."""

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
    """One event as it came. `reference` is the transport's own id, for events too broken to have one.

    `replay_of` names the dead letter that an operator brought back in this form.
    """

    body: bytes
    reference: str | None = None
    replay_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """An event that was read: `content` is a new order, or a request about what is in the database already."""

    incoming: IncomingEvent
    event: CloudEvent
    tenant_id: TenantId
    trace_id: str
    content: OrderRequest | ServiceRequest

    @property
    def key(self) -> str:
        """The event's own name, unique at its source."""
        return f"{self.event.source}#{self.event.id}"


def decode(incoming: IncomingEvent) -> DecodedEvent:
    """Read an order event without touching the database.

    Raises:
        UnacceptableOrder: it is too large, no CloudEvent, of another type or version, or its content breaks a rule.
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
    """The first problem in words, without the value: it may be what must not be written down."""
    detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    more = error.error_count() - 1
    said = f"{place}: {detail['msg']}" if place else detail["msg"]
    return said + (f" (and {more} more)" if more else "")
