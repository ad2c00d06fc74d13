"""append(tx, ...): the only way anything is ever queued.

A message becomes a row in the caller's transaction: it exists exactly when the change it follows from exists. The row
holds the wire form, so that the relay only carries bytes. Our own messages travel as Dramatiq messages; facts for other
services as CloudEvents 1.0.
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

    `attempt` counts the tries that were spent, `run` every delivery that failed (TryLater spends no try).
    """

    message_id: UUID
    run: int
    attempt: int
    trace_id: str
    first_appended_ms: int
    replayed: bool = False  # brought back from the dead letters by an operator
    span_id: str | None = None  # what appended it, where spans are recorded


def append(tx: Tx, *messages: Message | Fact, not_before: datetime | None = None) -> None:
    """Queue messages, in this order, when the transaction commits; not before `not_before` (UTC) when it is given."""
    if messages:
        outbox_table.insert(tx, [_as_row(message, new_envelope(), not_before) for message in messages])


def append_again(tx: Tx, message: Message, envelope: Envelope, not_before: datetime) -> None:
    """Queue another run of the same message: same id, same trace, next numbers."""
    outbox_table.insert(tx, [_as_row(message, envelope, not_before)])


def append_traced(tx: Tx, messages: Sequence[tuple[Message | Fact, str]]) -> None:
    """Queue a batch whose messages each belong to a trace of their own."""
    if messages:
        outbox_table.insert(tx, [_as_row(message, new_envelope(trace_id), None) for message, trace_id in messages])


def append_original(
    tx: Tx, kind: str, payload: dict[str, Any], envelope: Envelope, *, queue: str | None = None
) -> None:
    """Queue a message of ours as it once was: for replays, whose payload its actor reads again.

    `queue` redirects it; otherwise it goes where its kind goes today.
    """
    message = kind_to_message()[kind].model_validate(payload)
    row = _as_row(message, envelope, None)
    if queue is not None:
        body = orjson.dumps(_dramatiq_fields(message, queue, envelope))
        row = replace(row, routing_key=queue, body=body)
    outbox_table.insert(tx, [row])


def append_order_again(tx: Tx, body: bytes, message_id: UUID, *, not_before: datetime | None = None) -> None:
    """Queue an order event to intake's own queue: one that was refused, whose dead letter the message id then names, or
    one that could not be taken just now.
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
    chosen, now_ms = trace_id or trace.current(), int(datetime.now(UTC).timestamp() * 1000)
    return Envelope(uuid_utils.uuid7(), 1, 1, chosen, now_ms, span_id=trace.span_of(chosen))


def _as_row(message: Message | Fact, envelope: Envelope, not_before: datetime | None) -> outbox_table.NewRow:
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
