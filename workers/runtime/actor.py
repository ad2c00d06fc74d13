"""@actor(Message): what every handler has in common, so that a handler holds nothing but its own story.

A handler is a function of its message and the database, and of the Stripe gateway if it asks Stripe
(workers/runtime/by_need.py). Phases: decode the payload, bind log and trace, run the handler. What it raises becomes a
retry or a dead letter (workers/runtime/retries.py). A message that an operator replayed closes its dead letter when it
is done.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, overload
from uuid import UUID

from dramatiq.middleware import TimeLimitExceeded
from loguru import logger
from pydantic import ValidationError

from db.dead_letters import dead_letters
from db.session import Database
from messages.base import Message
from messages.queues import ROUTES, Route, urgency_of
from messages.runtime import trace
from messages.runtime.crash_points import crash_point
from messages.runtime.priority import asking_for
from messages.verdicts import TryAgain
from outbox.append import Envelope
from outbox.process.metrics import MESSAGE_SECONDS, MESSAGES
from outbox.sealing import Sealer
from stripe_client.gateway import Gateway
from workers.runtime.by_need import with_gateway
from workers.runtime.pauses import refuse_while_paused
from workers.runtime.retries import Delivery, after_failure, bury_unreadable, write_down

# A message that waits (try_later) has not failed.
_FAILED = frozenset({"try_again", "gave_up"})

M = TypeVar("M", bound=Message)
DatabaseHandler = Callable[[M, Database], None]
StripeHandler = Callable[[M, Database, Gateway], None]


class _Register(Protocol[M]):
    @overload
    def __call__(self, handler: StripeHandler[M], /) -> StripeHandler[M]: ...
    @overload
    def __call__(self, handler: DatabaseHandler[M], /) -> DatabaseHandler[M]: ...


@dataclass(frozen=True, slots=True)
class Actor:
    """A registered handler; workers/main.py gives it to Dramatiq."""

    message: type[Message]
    handler: Callable[[Any, Database, Gateway], None]

    @property
    def route(self) -> Route:
        """Queue, patience and time limit of the message (messages/queues.py)."""
        return ROUTES[self.message]


ACTORS: dict[str, Actor] = {}


def actor(message: type[M]) -> _Register[M]:
    """Register a handler for one kind of message. The handler itself stays a plain function that tests can call."""

    def register(handler: Any) -> Any:
        assert message.kind not in ACTORS, f"{message.kind} has two actors"
        ACTORS[message.kind] = Actor(message, with_gateway(handler))
        return handler

    return register


def run(
    entry: Actor,
    payload: dict[str, Any],
    envelope: Envelope,
    db: Database,
    stripe: Gateway,
    sealer: Sealer | None = None,
) -> None:
    """One delivery, from payload to a committed outcome.

    `sealer` keeps the originals of dead letters; without one only their redacted form is kept.

    Raises:
        NotWrittenDownError: the outcome could not be committed; do not ack.
    """
    started = time.perf_counter()
    try:
        message = entry.message.model_validate(payload)
    except ValidationError as error:
        reason = f"the payload is no {entry.message.__name__}: {error.error_count()} fields are wrong"
        bury_unreadable(db, entry.message.kind, entry.route.queue, payload, envelope, reason, sealer)
        MESSAGES.labels(entry.message.kind, "gave_up").inc()
        return
    delivery = Delivery(message, entry.route, envelope)
    with (
        trace.following(envelope.trace_id, envelope.span_id),
        trace.span(f"run {message.kind}", "consumer", **_for_span(delivery)) as span,
        logger.contextualize(**_context(delivery)),
    ):
        verdict = _handle(entry, delivery, db, stripe, sealer)
        span.note(verdict=verdict)
        if verdict in _FAILED:
            span.fail(verdict)
    MESSAGES.labels(message.kind, verdict).inc()
    MESSAGE_SECONDS.labels(message.kind).observe(time.perf_counter() - started)
    crash_point("worker.before_ack")


def _context(delivery: Delivery) -> dict[str, object]:
    message, envelope = delivery.message, delivery.envelope
    return {
        "message_id": str(envelope.message_id),
        "tenant_id": str(message.tenant_id) if message.tenant_id else None,
        "payment_id": str(message.payment_id) if message.payment_id else None,
        "actor": message.kind,
        "attempt": envelope.attempt,
        "trace_id": envelope.trace_id,
    }


def _for_span(delivery: Delivery) -> dict[str, str | int | bool]:
    named = {name: value for name, value in _context(delivery).items() if name != "trace_id"}
    return {name: value for name, value in named.items() if isinstance(value, str | int)}


def _handle(entry: Actor, delivery: Delivery, db: Database, stripe: Gateway, sealer: Sealer | None) -> str:
    """Run the handler; returns the word for what became of the message."""
    message = delivery.message
    try:
        refuse_while_paused(db, message)
        with asking_for(message.tenant_id, urgency_of(message)):
            entry.handler(message, db, stripe)
    except TimeLimitExceeded:
        slow = TryAgain(f"ran longer than {entry.route.patience.time_limit_seconds} s and was interrupted")
        return after_failure(db, delivery, slow, sealer)
    except Exception as error:  # noqa: BLE001  whatever a handler raises must end as a row, or the message is lost
        return after_failure(db, delivery, error, sealer)
    if delivery.envelope.replayed:
        write_down(db, lambda tx: dead_letters.mark_replayed(tx, message_id=str(delivery.envelope.message_id)))
    return "done"


def envelope_of(message_id: str, options: dict[str, Any]) -> Envelope:
    """The envelope of a delivery; a message that did not come through our relay gets a sound one."""
    return Envelope(
        message_id=UUID(message_id),
        run=int(options.get("run") or 1),
        attempt=int(options.get("attempt") or 1),
        trace_id=str(options.get("trace_id") or trace.new()),
        first_appended_ms=int(options.get("first_appended_ms") or time.time() * 1000),
        replayed=bool(options.get("replayed")),
        span_id=options.get("span_id"),
    )
