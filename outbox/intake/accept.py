"""accept: an order becomes a payment and a ChargeRequested in one transaction, or a dead letter with its reason.

Phases: decode (no database), then per tenant one transaction that writes order, payment, history and outbox row. A
batch that fails because of one bad order is done again one by one, so that the others are not held up by it. Harmless
twice: the order's id is unique, and the same event again changes nothing; the same id with another body is a dead
letter.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

import orjson
import psycopg
import uuid_utils.compat as uuid_utils
from loguru import logger
from psycopg import errors
from pydantic import ValidationError

from db import dead_letters, orders, tenants
from db.dead_letters import DeadLetter
from db.orders import NewOrder
from db.session import Database, Tx
from messages import trace
from messages.base import CloudEvent, dataschema
from messages.crash_points import crash_point
from messages.ids import PaymentId, TenantId
from messages.orders import OrderPlaced
from messages.payments import ChargeRequested
from messages.queues import LARGEST_ORDER_BYTES, ORDERS_QUEUE
from messages.redaction import redact_text, redact_value
from outbox.append import append_traced
from outbox.sealing import Sealer

BY = "intake"
# A reason may quote what the event says of itself, which has no such limit.
LONGEST_REASON = 1_000


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    DEAD = "dead"


class Unreadable(Exception):  # noqa: N818  it names what the event is, and becomes a dead letter's reason
    """The event cannot be accepted, ever; the sentence becomes the dead letter's reason."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One event as it came. `reference` is the transport's own id, for events too broken to have one.

    `replay_of` names the dead letter that an operator brought back in this form.
    """

    body: bytes
    reference: str | None = None
    replay_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    incoming: Incoming
    event: CloudEvent
    order: OrderPlaced
    fingerprint: bytes
    payment_id: PaymentId

    @property
    def trace_id(self) -> str:
        return self.event.traceparent.split("-")[1] if self.event.traceparent else trace.new()


def accept(db: Database, batch: Sequence[Incoming], sealer: Sealer | None = None) -> list[Outcome]:
    """Accept a batch; the outcomes stand in the order of the events. Everything is committed when this returns.

    `sealer` keeps the originals of dead letters; without one only their redacted form is kept.

    Raises:
        psycopg.OperationalError: the database is away; nothing may be acked, and every event may be offered again.
    """
    outcomes: dict[int, Outcome] = {}
    by_tenant: dict[TenantId, list[tuple[int, Decoded]]] = defaultdict(list)
    for position, incoming in enumerate(batch):
        try:
            decoded = decode(incoming)
        except Unreadable as reason:
            outcomes[position] = _bury(db, sealer, incoming, str(reason))
        else:
            by_tenant[decoded.order.tenant_id].append((position, decoded))
    for tenant_id, events in by_tenant.items():
        results = _accept_of_tenant(db, sealer, tenant_id, [decoded for _, decoded in events])
        outcomes.update(zip((position for position, _ in events), results, strict=True))
    _resolve_replays(db, [incoming for place, incoming in enumerate(batch) if outcomes[place] is not Outcome.DEAD])
    return [outcomes[position] for position in range(len(batch))]


def _resolve_replays(db: Database, taken: list[Incoming]) -> None:
    """Dead letters that came back and were taken this time are resolved."""
    for replay_of in [incoming.replay_of for incoming in taken if incoming.replay_of is not None]:
        with db.system_transaction() as tx:
            dead_letters.mark_replayed(tx, dead_letter_id=replay_of)


def decode(incoming: Incoming) -> Decoded:
    """Read an order event without touching the database.

    Raises:
        Unreadable: it is too large, no CloudEvent, of another type or version, or its order breaks a rule.
    """
    if len(incoming.body) > LARGEST_ORDER_BYTES:
        raise Unreadable(f"the event has {len(incoming.body)} bytes; {LARGEST_ORDER_BYTES} are the most we read")
    try:
        event = CloudEvent.model_validate_json(incoming.body)
    except ValidationError as error:
        raise Unreadable(f"no CloudEvent 1.0 in structured JSON: {_first_problem(error)}") from None
    if event.type != OrderPlaced.event_type:
        raise Unreadable(f"events of type {event.type!r} are not handled here")
    if event.dataschema != (known := dataschema(OrderPlaced.event_type, OrderPlaced.version)):
        raise Unreadable(f"version {event.dataschema!r} of {event.type} is unknown; we read {known!r}")
    try:
        order = OrderPlaced.model_validate(event.data)
    except ValidationError as error:
        raise Unreadable(f"the order breaks a rule: {_first_problem(error)}") from None
    canonical = orjson.dumps(order.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return Decoded(incoming, event, order, sha256(canonical).digest(), PaymentId(uuid_utils.uuid7()))


def _first_problem(error: ValidationError) -> str:
    """The first problem in words, without the value: it may be what must not be written down."""
    detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    more = error.error_count() - 1
    said = f"{place}: {detail['msg']}" if place else detail["msg"]
    return said + (f" (and {more} more)" if more else "")


def _accept_of_tenant(db: Database, sealer: Sealer | None, tenant_id: TenantId, events: list[Decoded]) -> list[Outcome]:
    """All in one transaction; when one of them is bad, each in its own."""
    try:
        return _accept_together(db, tenant_id, events)
    except (psycopg.IntegrityError, psycopg.DataError, Unreadable):
        return [_accept_alone(db, sealer, tenant_id, event) for event in events]


def _accept_alone(db: Database, sealer: Sealer | None, tenant_id: TenantId, event: Decoded) -> Outcome:
    try:
        return _accept_together(db, tenant_id, [event])[0]
    except Unreadable as reason:
        return _bury(db, sealer, event.incoming, str(reason), event)
    except errors.UniqueViolation as error:
        taken = f"the buyer's idempotency key already paid for another order ({error.diag.constraint_name})"
        return _bury(db, sealer, event.incoming, taken, event)
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        return _bury(db, sealer, event.incoming, f"the book refused the order: {error.diag.message_primary}", event)


def _accept_together(db: Database, tenant_id: TenantId, events: list[Decoded]) -> list[Outcome]:
    with db.transaction(tenant_id) as tx:
        check_venues(tx, events)
        firsts = list({event.order.order_id: event for event in reversed(events)}.values())
        new = orders.record(tx, [as_new_order(event) for event in firsts], by=BY)
        accepted = [event for event in events if event.payment_id in new]
        append_traced(tx, [(_charge(tenant_id, event), event.trace_id) for event in accepted])
        outcomes = [Outcome.ACCEPTED if event.payment_id in new else _repetition(tx, event) for event in events]
        crash_point("intake.before_commit")
    crash_point("intake.after_commit")
    return outcomes


def _charge(tenant_id: TenantId, event: Decoded) -> ChargeRequested:
    return ChargeRequested(tenant_id=tenant_id, payment_id=event.payment_id)


def check_venues(tx: Tx, events: Iterable[Decoded]) -> None:
    """Raises Unreadable for a tenant or venue nobody knows, or a currency the venue does not sell in."""
    known = tenants.venue_currencies(tx)
    for event in events:
        order = event.order
        if not known:
            raise Unreadable(f"tenant {order.tenant_id} is unknown")
        if order.venue_id not in known:
            raise Unreadable(f"venue {order.venue_id} is unknown to this tenant")
        if known[order.venue_id] != order.amount.currency:
            raise Unreadable(f"the venue sells in {known[order.venue_id]}, not in {order.amount.currency}")


def _repetition(tx: Tx, event: Decoded) -> Outcome:
    """A repeated event is nothing new; the same id with another body contradicts what we hold."""
    first = orders.fingerprint_of(tx, as_new_order(event))
    if first == event.fingerprint:
        return Outcome.DUPLICATE
    raise Unreadable("this order id or event id was seen before with another body; the first one stands")


def as_new_order(event: Decoded) -> NewOrder:
    return NewOrder(
        order_id=event.order.order_id,
        payment_id=event.payment_id,
        event_source=event.event.source,
        event_id=event.event.id,
        fingerprint=event.fingerprint,
        # The device's texts come from the buyer's side as they are, so they may hold what no row may (M9).
        data=event.order.model_dump(mode="json") | {"device": redact_value(event.order.device.model_dump(mode="json"))},
    )


def _bury(
    db: Database, sealer: Sealer | None, incoming: Incoming, reason: str, event: Decoded | None = None
) -> Outcome:
    """Keep what nobody can use, redacted, with its reason, where a person sees it."""
    tenant_id: UUID | None = event.order.tenant_id if event else None
    letter = DeadLetter(
        source="orders",
        reason=redact_text(reason)[:LONGEST_REASON],
        payload=redact_text(incoming.body[:LARGEST_ORDER_BYTES].decode("utf-8", errors="backslashreplace")),
        original=incoming.body,
        sealed=sealer.seal(incoming.body) if sealer else None,
        cause="refused" if event else "undecodable",
        queue=ORDERS_QUEUE,
        tenant_id=tenant_id,
        message_id=event.event.id if event else incoming.reference,
        kind=event.event.type if event else None,
    )
    with db.system_transaction() as tx:
        if incoming.replay_of is None or not dead_letters.reopen(tx, incoming.replay_of, reason=letter.reason):
            dead_letters.bury(tx, letter)
    logger.warning("order event became a dead letter: {}", reason)
    return Outcome.DEAD
