"""accept: order events become payments, refunds or cancellations with their messages, or dead letters with a reason.

Phases: decode (outbox/intake/order_events.py, no database), then per tenant one transaction that accepts all new orders
(outbox/requests/orders.py), then one for each request about an order (order_requests.py), so that a request finds the
order that arrived with it. A batch that fails because of one bad order is done again one by one, so that the others are
not held up by it. Harmless twice: an order's id and an event's own name are unique, and the same event again changes
nothing; the same order id with another body is a dead letter. A request whose payment is locked for too long is
postponed through the outbox, so that no other event waits behind it.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
from loguru import logger
from psycopg import errors

from db.dead_letters import dead_letters
from db.dead_letters.dead_letters import DeadLetter
from db.session import Database
from messages.ids import TenantId
from messages.queues import LARGEST_ORDER_BYTES, ORDERS_QUEUE
from messages.runtime import trace
from messages.runtime.crash_points import crash_point
from messages.runtime.redaction import redact_text
from messages.runtime.trace import TraceContext
from outbox.append import append_order_again
from outbox.intake.order_events import DecodedEvent, IncomingEvent, decode
from outbox.intake.order_requests import grant
from outbox.requests.orders import OrderOutcome, OrderRequest, UnacceptableOrder, take
from outbox.sealing import Sealer

BY = "intake"
_TAKEN = frozenset({OrderOutcome.ACCEPTED, OrderOutcome.DUPLICATE})
# A request waits for its payment's row as long as any statement. Who holds it for longer is a forgotten transaction,
# which ends within twenty seconds when it is ours; until then the orders behind it must not wait as well.
POSTPONED_BY = timedelta(seconds=20)
# A reason may quote what the event says of itself, which has no such limit.
LONGEST_REASON = 1_000


def accept(db: Database, batch: Sequence[IncomingEvent], sealer: Sealer | None = None) -> list[OrderOutcome]:
    """Accept a batch; the outcomes are in the order of the events. Everything is committed when this returns.

    Called by the consumer of the orders queue (amqp.py), on its thread. `sealer` keeps the originals of dead letters
    encrypted; without one only their redacted form is kept, and they cannot be replayed. Events whose tenants differ
    never share a transaction.

    Raises:
        psycopg.OperationalError: the database is unreachable; nothing may be acked, and every event may be passed in
            again.
    """
    outcomes: dict[int, OrderOutcome] = {}
    by_tenant: dict[TenantId, list[tuple[int, DecodedEvent]]] = defaultdict(list)
    for position, incoming in enumerate(batch):
        try:
            decoded = decode(incoming)
        except UnacceptableOrder as reason:
            outcomes[position] = _bury(db, sealer, incoming, str(reason))
        else:
            by_tenant[decoded.tenant_id].append((position, decoded))
    for tenant_id, events in by_tenant.items():
        results = _accept_of_tenant(db, sealer, tenant_id, [decoded for _, decoded in events])
        outcomes.update(zip((position for position, _ in events), results, strict=True))
    _resolve_replays(db, [incoming for place, incoming in enumerate(batch) if outcomes[place] in _TAKEN])
    return [outcomes[position] for position in range(len(batch))]


def set_aside(db: Database, sealer: Sealer | None, incoming: IncomingEvent, error: Exception) -> OrderOutcome:
    """Dead-letter an event on which `accept` failed. The reason names the error's class; its text may quote data."""
    reason = f"an unexpected {type(error).__name__} while the event was accepted; replay it once the cause is fixed"
    return _bury(db, sealer, incoming, reason, cause="gave_up")


def _resolve_replays(db: Database, taken: list[IncomingEvent]) -> None:
    """Close the dead letters whose replayed events were accepted this time, each in a system transaction of its own."""
    for replay_of in [incoming.replay_of for incoming in taken if incoming.replay_of is not None]:
        with db.system_transaction() as tx:
            dead_letters.mark_replayed(tx, dead_letter_id=replay_of)


def _accept_of_tenant(
    db: Database, sealer: Sealer | None, tenant_id: TenantId, events: list[DecodedEvent]
) -> list[OrderOutcome]:
    """New orders first and in one transaction; when one of them is bad, each in its own. Other requests always are."""
    offers = [event for event in events if isinstance(event.content, OrderRequest)]
    try:
        outcomes = _accept_together(db, tenant_id, offers) if offers else []
    except (psycopg.IntegrityError, psycopg.DataError, UnacceptableOrder):
        outcomes = [_accept_alone(db, sealer, tenant_id, event) for event in offers]
    taken = iter(outcomes)
    done = {id(event): next(taken) for event in offers}
    return [done.get(id(event)) or _accept_alone(db, sealer, tenant_id, event) for event in events]


def _accept_alone(db: Database, sealer: Sealer | None, tenant_id: TenantId, event: DecodedEvent) -> OrderOutcome:
    """One event in one transaction; what the database or a rule rejects becomes a dead letter with a sentence.

    An OperationalError passes through, except a lock timeout, which postpones the event.
    """
    try:
        return _accept_together(db, tenant_id, [event])[0]
    except UnacceptableOrder as reason:
        return _bury(db, sealer, event.incoming, str(reason), event)
    except errors.LockNotAvailable:
        return _postpone(db, event)
    except errors.UniqueViolation as error:
        taken = f"the buyer's idempotency key already paid for another order ({error.diag.constraint_name})"
        return _bury(db, sealer, event.incoming, taken, event)
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        rejected = f"the database rejected the order: {error.diag.message_primary}"
        return _bury(db, sealer, event.incoming, rejected, event)


def _postpone(db: Database, event: DecodedEvent) -> OrderOutcome:
    """Queue the event again through the outbox with its own bytes; a replayed one under the id of its dead letter."""
    due = datetime.now(UTC) + POSTPONED_BY
    with db.system_transaction() as tx:
        append_order_again(tx, event.incoming.body, event.incoming.replay_of or uuid4(), not_before=due)
    logger.warning("order event postponed: its payment is locked", event_key=event.key)
    return OrderOutcome.POSTPONED


def _accept_together(db: Database, tenant_id: TenantId, events: list[DecodedEvent]) -> list[OrderOutcome]:
    """All events in one transaction of the tenant; the outcomes are those of the orders first, then of the other
    requests.
    """
    places = [TraceContext(event.trace_id, trace.parent_in(event.event.traceparent)) for event in events]
    with trace.spans_of_batch("accept order", "consumer", places), db.transaction(tenant_id) as tx:
        outcomes = take(
            tx, tenant_id, [event.content for event in events if isinstance(event.content, OrderRequest)], by=BY
        )
        outcomes += [
            grant(tx, event, event.content, by=BY) for event in events if not isinstance(event.content, OrderRequest)
        ]
        crash_point("intake.before_commit")
    crash_point("intake.after_commit")
    return outcomes


def _bury(
    db: Database,
    sealer: Sealer | None,
    incoming: IncomingEvent,
    reason: str,
    event: DecodedEvent | None = None,
    cause: str | None = None,
) -> OrderOutcome:
    """Store an event that cannot be accepted, redacted, with its reason, where an operator sees it.

    A replayed event that is rejected again opens its own dead letter again instead of creating a second one.
    """
    letter = DeadLetter(
        source="orders",
        reason=redact_text(reason)[:LONGEST_REASON],
        payload=redact_text(incoming.body[:LARGEST_ORDER_BYTES].decode("utf-8", errors="backslashreplace")),
        original=incoming.body,
        sealed=sealer.seal(incoming.body) if sealer else None,
        cause=cause or ("refused" if event else "undecodable"),
        queue=ORDERS_QUEUE,
        tenant_id=event.tenant_id if event else None,
        message_id=event.event.id if event else incoming.reference,
        kind=event.event.type if event else None,
    )
    with db.system_transaction() as tx:
        if incoming.replay_of is None or not dead_letters.reopen(tx, incoming.replay_of, reason=letter.reason):
            dead_letters.bury(tx, letter)
    logger.warning("order event became a dead letter: {}", reason)
    return OrderOutcome.DEAD
