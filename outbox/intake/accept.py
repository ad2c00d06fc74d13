"""accept: order events become payments and their ChargeRequested in one transaction, or dead letters with a reason.

Phases: decode (no database), then per tenant one transaction that takes the orders (outbox/intake/offers.py). A
batch that fails because of one bad order is done again one by one, so that the others are not held up by it. Harmless
twice: the order's id is unique, and the same event again changes nothing; the same id with another body is a dead
letter.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from loguru import logger
from psycopg import errors
from pydantic import ValidationError

from db import dead_letters
from db.dead_letters import DeadLetter
from db.session import Database
from messages import trace
from messages.base import CloudEvent, dataschema
from messages.crash_points import crash_point
from messages.ids import TenantId
from messages.orders import OrderPlaced
from messages.queues import LARGEST_ORDER_BYTES, ORDERS_QUEUE
from messages.redaction import redact_text
from outbox.intake.offers import Offer, Outcome, Unreadable, take
from outbox.sealing import Sealer

BY = "intake"
# A reason may quote what the event says of itself, which has no such limit.
LONGEST_REASON = 1_000


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
    offer: Offer


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
            by_tenant[decoded.offer.order.tenant_id].append((position, decoded))
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
    trace_id = event.traceparent.split("-")[1] if event.traceparent else trace.new()
    return Decoded(incoming, event, Offer.of(order, source=event.source, source_id=event.id, trace_id=trace_id))


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
        outcomes = take(tx, tenant_id, [event.offer for event in events], by=BY)
        crash_point("intake.before_commit")
    crash_point("intake.after_commit")
    return outcomes


def _bury(
    db: Database, sealer: Sealer | None, incoming: Incoming, reason: str, event: Decoded | None = None
) -> Outcome:
    """Keep what nobody can use, redacted, with its reason, where a person sees it."""
    tenant_id: UUID | None = event.offer.order.tenant_id if event else None
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
