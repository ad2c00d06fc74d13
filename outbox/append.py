"""append(tx, ...): the only way anything is ever queued.

A message becomes a row in the caller's transaction: it exists exactly when the change it follows from exists. The row
holds the wire form, so that the relay only carries bytes. Our own messages travel as Dramatiq messages; facts for other
services as CloudEvents 1.0.

Nothing here talks to the broker, and nothing is published when the transaction rolls back. Each function takes the
caller's open transaction and leaves the commit to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import uuid_utils.compat as uuid_utils

from db.queue import outbox as outbox_table
from db.session import Tx
from messages.base import Fact, Message, dataschema
from messages.queues import EVENTS_EXCHANGE, ORDERS_QUEUE, ROUTES, kind_to_message
from messages.runtime import trace

EVENT_SOURCE = "/payment-fleet"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What travels beside a message's payload. `message_id` and `first_appended_ms` stay the same over all retries.

    Attributes:
        message_id: UUIDv7; the Dramatiq message id, or the `id` of a CloudEvent, by which consumers recognise a
            duplicate.
        run: deliveries so far, this one included; starts at 1. `TryLater` adds a run and spends no attempt.
        attempt: attempts that count against the retry limit, this one included; starts at 1.
        trace_id: 32 hex digits (W3C Trace Context).
        first_appended_ms: milliseconds since 1970 (UTC) of the first append; the maximum age of a message counts from
            it.
        replayed: an operator replayed it from the dead letters.
        span_id: 16 hex digits of the span that appended it; None where traces are not recorded.
    """

    message_id: UUID
    run: int
    attempt: int
    trace_id: str
    first_appended_ms: int
    replayed: bool = False  # brought back from the dead letters by an operator
    span_id: str | None = None  # what appended it, where spans are recorded


def append(tx: Tx, *messages: Message | Fact, not_before: datetime | None = None) -> None:
    """Queue messages, in this order, when the transaction commits; without messages, do nothing.

    `not_before` (UTC) delays all of them; None, or a time that has passed, means at once. Each message gets a new id
    and the current trace. Calling it twice queues twice: the caller's guards (a unique key, a move of state that found
    its row) decide whether it is reached a second time.
    """
    if messages:
        outbox_table.insert(tx, [_as_row(message, new_envelope(), not_before) for message in messages])


def append_again(tx: Tx, message: Message, envelope: Envelope, not_before: datetime) -> None:
    """Queue another run of the same message, due at `not_before` (UTC): same id, same trace, next numbers.

    Called by the actor runtime after a failure; `envelope` already carries the numbers of the next run. Facts have no
    second run: they are published, not handled.
    """
    outbox_table.insert(tx, [_as_row(message, envelope, not_before)])


def append_traced(tx: Tx, messages: Sequence[tuple[Message | Fact, str]]) -> None:
    """Queue a batch of (message, trace id) pairs whose messages each belong to a trace of their own.

    For work on many payments in one transaction, where the current trace would be that of the batch.
    """
    if messages:
        outbox_table.insert(tx, [_as_row(message, new_envelope(trace_id), None) for message, trace_id in messages])


def append_original(
    tx: Tx, kind: str, payload: dict[str, Any], envelope: Envelope, *, queue: str | None = None
) -> None:
    """Queue a message of ours again with its original payload, for replays.

    `kind` must be one of today's and `payload` must validate as it. `queue` redirects the message to another work
    queue; None sends it to the queue that its kind has today, which may differ from the one it failed in.

    Raises:
        KeyError: no message has this kind.
        pydantic.ValidationError: the payload does not fit the kind as it is defined now.
    """
    message = kind_to_message()[kind].model_validate(payload)
    row = _as_row(message, envelope, None)
    if queue is not None:
        body = orjson.dumps(_dramatiq_fields(message, queue, envelope))
        row = replace(row, routing_key=queue, body=body)
    outbox_table.insert(tx, [row])


def append_order_again(tx: Tx, body: bytes, message_id: UUID, *, not_before: datetime | None = None) -> None:
    """Queue an order event for intake's own queue, with the bytes in which it came.

    Two callers: the replay of a rejected event, where `message_id` is the id of its dead letter (intake resolves that
    dead letter once it accepts the event), and intake itself, which postpones an event until `not_before` (UTC). It is
    published to the default exchange, by which intake tells it from an event of the order service.
    """
    outbox_table.insert(
        tx,
        [
            outbox_table.NewRow(
                tenant_id=None,
                message_id=message_id,
                kind="order.placed",
                exchange="",
                routing_key=ORDERS_QUEUE,
                ordering_key=None,
                attempt=1,
                not_before=not_before,
                body=body,
            )
        ],
    )


def new_envelope(trace_id: str | None = None) -> Envelope:
    """The envelope of a first run: a new id, now, and `trace_id` or, when that is None, the current trace."""
    chosen, now_ms = trace_id or trace.current(), int(datetime.now(UTC).timestamp() * 1000)
    return Envelope(uuid_utils.uuid7(), 1, 1, chosen, now_ms, span_id=trace.span_of(chosen))


def _as_row(message: Message | Fact, envelope: Envelope, not_before: datetime | None) -> outbox_table.NewRow:
    """The row of a message or fact. Our own go to the default exchange, where the routing key is the queue's name."""
    if isinstance(message, Fact):
        return _event_row(message, envelope, not_before)
    route = ROUTES[type(message)]
    return outbox_table.NewRow(
        tenant_id=message.tenant_id,
        message_id=envelope.message_id,
        kind=message.kind,
        exchange="",
        routing_key=route.queue,
        ordering_key=message.ordering_key,
        attempt=envelope.attempt,
        not_before=not_before,
        body=orjson.dumps(_dramatiq_fields(message, route.queue, envelope)),
    )


def _dramatiq_fields(message: Message, queue: str, envelope: Envelope) -> dict[str, Any]:
    """The fields of dramatiq.Message (2.2); Dramatiq decodes them with its JSON encoder."""
    return {
        "queue_name": queue,
        "actor_name": message.kind,
        "args": [],
        "kwargs": {"payload": message.model_dump(mode="json")},
        "options": {
            "run": envelope.run,
            "attempt": envelope.attempt,
            "trace_id": envelope.trace_id,
            "first_appended_ms": envelope.first_appended_ms,
            **({"replayed": True} if envelope.replayed else {}),
            **({"span_id": envelope.span_id} if envelope.span_id else {}),
        },
        "message_id": str(envelope.message_id),
        "message_timestamp": envelope.first_appended_ms,
    }


def _event_row(event: Fact, envelope: Envelope, not_before: datetime | None) -> outbox_table.NewRow:
    """A fact goes to the events exchange under its type; events of one subject share an ordering key, so they stay in
    order.
    """
    return outbox_table.NewRow(
        tenant_id=event.tenant_id,
        message_id=envelope.message_id,
        kind=event.event_type,
        exchange=EVENTS_EXCHANGE,
        routing_key=event.event_type,
        ordering_key=event.subject_id,
        attempt=envelope.attempt,
        not_before=not_before,
        body=orjson.dumps(_cloud_event(event, envelope)),
    )


def _cloud_event(event: Fact, envelope: Envelope) -> dict[str, Any]:
    """Structured JSON mode (CloudEvents 1.0, section 3.1). `time` is when the fact was appended, not when it is
    published.
    """
    return {
        "specversion": "1.0",
        "id": str(envelope.message_id),
        "source": EVENT_SOURCE,
        "type": event.event_type,
        "time": datetime.fromtimestamp(envelope.first_appended_ms / 1000, UTC).isoformat(),
        "subject": str(event.subject_id),
        "datacontenttype": "application/json",
        "dataschema": dataschema(event.event_type, event.version),
        "traceparent": trace.traceparent(envelope.trace_id, envelope.span_id),
        "data": event.model_dump(mode="json"),
    }
