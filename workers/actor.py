"""@actor(Message): what every handler has in common, so that a handler holds nothing but its own story.

Decode the payload, bind log and trace, run the handler, and turn what it raised into a row: a retry with its due time,
or a dead letter with its reason, written in one transaction together with the failure. Only then is the delivery acked.
While the database is away the message is held; if it stays away, it goes back to the broker, and nothing is lost.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import orjson
import psycopg
from dramatiq.middleware import TimeLimitExceeded
from loguru import logger
from pydantic import ValidationError

from db import dead_letters, failures
from db.dead_letters import DeadLetter
from db.failures import Failure
from db.session import Database, Tx
from messages import trace
from messages.base import Message
from messages.crash_points import crash_point
from messages.queues import ROUTES, Route
from messages.redaction import redact_text
from messages.verdicts import GiveUp, TryAgain, TryLater
from outbox.append import Envelope, append_again
from outbox.metrics import MESSAGE_SECONDS, MESSAGES
from stripe_client.gateway import Gateway

# How long a worker holds a message whose outcome it cannot write down: giving it back counts as a delivery, and the
# delivery limit must outlast an outage. Far below RabbitMQ's consumer timeout of 30 minutes.
DATABASE_PATIENCE_SECONDS = 600.0

M = TypeVar("M", bound=Message)
Handler = Callable[[M, Database, Gateway], None]


class NotWrittenDownError(Exception):
    """The database stayed away: neither done nor retried. The delivery must go back to the broker."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A registered handler; workers/main.py gives it to Dramatiq."""

    message: type[Message]
    handler: Callable[[Any, Database, Gateway], None]

    @property
    def route(self) -> Route:
        return ROUTES[self.message]


ACTORS: dict[str, Actor] = {}


def actor(message: type[M]) -> Callable[[Handler[M]], Handler[M]]:
    """Register a handler for one kind of message. The handler itself stays a plain function that tests can call."""

    def register(handler: Handler[M]) -> Handler[M]:
        assert message.kind not in ACTORS, f"{message.kind} has two actors"
        ACTORS[message.kind] = Actor(message, handler)
        return handler

    return register


def run(entry: Actor, payload: dict[str, Any], envelope: Envelope, db: Database, stripe: Gateway) -> None:
    """One delivery, from payload to a committed outcome.

    Raises:
        NotWrittenDownError: the outcome could not be committed; do not ack.
    """
    started = time.perf_counter()
    try:
        message = entry.message.model_validate(payload)
    except ValidationError as error:
        reason = GiveUp(f"the payload is no {entry.message.__name__}: {error.error_count()} fields are wrong")
        _write_down(db, lambda tx: _bury(tx, entry, None, payload, envelope, reason))
        return
    context = {
        "message_id": str(envelope.message_id),
        "tenant_id": str(message.tenant_id) if message.tenant_id else None,
        "payment_id": str(message.payment_id) if message.payment_id else None,
        "actor": message.kind,
        "attempt": envelope.attempt,
        "trace_id": envelope.trace_id,
    }
    with trace.following(envelope.trace_id), logger.contextualize(**context):
        verdict = _handle(entry, message, envelope, db, stripe)
    MESSAGES.labels(message.kind, verdict).inc()
    MESSAGE_SECONDS.labels(message.kind).observe(time.perf_counter() - started)
    crash_point("worker.before_ack")


def _handle(entry: Actor, message: Message, envelope: Envelope, db: Database, stripe: Gateway) -> str:
    """Run the handler; returns the word for what became of the message."""
    try:
        entry.handler(message, db, stripe)
    except TimeLimitExceeded:
        slow = TryAgain(f"ran longer than {entry.route.time_limit_seconds} s and was interrupted")
        return _after_failure(entry, message, envelope, db, slow)
    except Exception as error:  # noqa: BLE001  whatever a handler raises must end as a row, or the message is lost
        return _after_failure(entry, message, envelope, db, error)
    return "done"


def _after_failure(entry: Actor, message: Message, envelope: Envelope, db: Database, error: Exception) -> str:
    """A retry row, or a dead letter; each together with the failure's own row."""
    age_seconds = time.time() - envelope.first_appended_ms / 1000
    if isinstance(error, GiveUp):
        final: GiveUp | None = error
    elif age_seconds > entry.route.max_age_seconds:
        final = GiveUp(f"older than {entry.route.max_age_seconds} s and still failing: {_reason(error)}")
    elif not isinstance(error, TryLater) and envelope.attempt >= entry.route.tries:
        final = GiveUp(f"{envelope.attempt} tries used up, the last failed with: {_reason(error)}")
    else:
        final = None
    if final is not None:
        payload = message.model_dump(mode="json")
        _write_down(db, lambda tx: _bury(tx, entry, message, payload, envelope, final))
        logger.error("gave up: {}", final.reason)
        return "gave_up"
    pause = _pause(entry.route, envelope.attempt, error)
    due_at = datetime.now(UTC) + timedelta(seconds=pause)
    _write_down(db, lambda tx: _retry(tx, message, envelope, error, due_at))
    logger.warning("will be tried again in {:.1f} s: {}", pause, _reason(error))
    return "try_later" if isinstance(error, TryLater) else "try_again"


def _pause(route: Route, attempt: int, error: Exception) -> float:
    """TryLater says it; otherwise full jitter below a growing ceiling, so that failures of one second spread out."""
    if isinstance(error, TryLater):
        return error.seconds * random.uniform(1.0, 1.2)  # noqa: S311  spreads load, guards nothing
    ceiling = min(route.backoff_ceiling_seconds, route.backoff_base_seconds * 2 ** min(attempt, 30))
    return random.uniform(0, ceiling)  # noqa: S311  spreads load, guards nothing


def _retry(tx: Tx, message: Message, envelope: Envelope, error: Exception, due_at: datetime) -> None:
    verdict = "try_later" if isinstance(error, TryLater) else "try_again"
    if failures.record(tx, _failure(message, envelope, verdict, error, due_at)):
        tries_spent = 0 if isinstance(error, TryLater) else 1
        following = replace(envelope, run=envelope.run + 1, attempt=envelope.attempt + tries_spent)
        append_again(tx, message, following, due_at)


def _bury(
    tx: Tx, entry: Actor, message: Message | None, payload: dict[str, Any], envelope: Envelope, reason: GiveUp
) -> None:
    text = orjson.dumps(payload)
    if message is not None:
        failures.record(tx, _failure(message, envelope, "give_up", reason, None))
    dead_letters.bury(
        tx,
        DeadLetter(
            source="worker",
            reason=_reason(reason),
            payload=redact_text(text.decode()),
            original=text,
            tenant_id=message.tenant_id if message else None,
            message_id=str(envelope.message_id),
            kind=entry.message.kind,
            payment_id=message.payment_id if message else None,
            headers={"attempt": envelope.attempt, "trace_id": envelope.trace_id},
        ),
    )


def _failure(message: Message, envelope: Envelope, verdict: str, error: Exception, due_at: datetime | None) -> Failure:
    return Failure(
        tenant_id=message.tenant_id,
        message_id=envelope.message_id,
        run=envelope.run,
        attempt=envelope.attempt,
        kind=message.kind,
        payment_id=message.payment_id,
        verdict=verdict,
        error_class=type(error).__name__,
        reason=_reason(error),
        next_due_at=due_at,
    )


def _reason(error: Exception) -> str:
    return redact_text(getattr(error, "reason", None) or str(error) or type(error).__name__)[:1000]


def _write_down(db: Database, write: Callable[[Tx], None]) -> None:
    """Commit, waiting for a database that is away.

    Raises:
        NotWrittenDownError: it stayed away for longer than we may hold a message.
    """
    deadline = time.monotonic() + DATABASE_PATIENCE_SECONDS
    while True:
        try:
            with db.system_transaction() as tx:
                write(tx)
        except psycopg.OperationalError as error:
            _wait_for_database(db, deadline, error)
        except TimeLimitExceeded:  # meant for the handler; it fires once, and writing down must not be cut short
            continue
        else:
            return


def _wait_for_database(db: Database, deadline: float, error: psycopg.OperationalError) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise NotWrittenDownError("the database is away") from error
    logger.warning("database away, holding the message")
    try:
        db.wait_until_reachable(seconds=left)
    except TimeLimitExceeded:  # the same; the caller's deadline still holds
        return
    except psycopg.OperationalError:
        raise NotWrittenDownError("the database is away") from error


def envelope_of(message_id: str, options: dict[str, Any]) -> Envelope:
    """The envelope of a delivery; a message that did not come through our relay gets a sound one."""
    return Envelope(
        message_id=UUID(message_id),
        run=int(options.get("run") or 1),
        attempt=int(options.get("attempt") or 1),
        trace_id=str(options.get("trace_id") or trace.new()),
        first_appended_ms=int(options.get("first_appended_ms") or time.time() * 1000),
    )
