"""What becomes of a message whose handler failed: a retry with its due time, or a dead letter with its reason.

Either is written in one transaction together with the failure itself, and only then is the delivery acked. While the
database is away the message is held; if it stays away, the delivery goes back to the broker.
"""

import random
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
import psycopg
from dramatiq.middleware import TimeLimitExceeded
from loguru import logger

from db.dead_letters import dead_letters
from db.dead_letters.dead_letters import DeadLetter
from db.queue import failed_runs
from db.queue.failed_runs import FailedRun
from db.session import Database, Tx
from messages.base import Message
from messages.queues import Route
from messages.runtime import trace
from messages.runtime.redaction import redact_text
from messages.verdicts import GiveUp, TryLater
from outbox.append import Envelope, append_again
from outbox.process.logs import bound
from outbox.sealing import Sealer

# How long a worker holds a message whose outcome it cannot write down: giving it back counts as a delivery, and the
# delivery limit must outlast an outage. Far below RabbitMQ's consumer timeout of 30 minutes.
DATABASE_PATIENCE_SECONDS = 600.0
LONGEST_REASON = 1_000
LONGEST_TRACEBACK = 8_000
_OURS = Path(__file__).resolve().parents[2]


class NotWrittenDownError(Exception):
    """The database stayed away: neither done nor retried. The delivery must go back to the broker."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a message that could be read."""

    message: Message
    route: Route
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class FinalFailure:
    """No retry can help; `cause` is the word by which dead letters are grouped."""

    cause: str
    reason: str


def after_failure(db: Database, delivery: Delivery, error: BaseException, sealer: Sealer | None) -> str:
    """Write down a retry or a dead letter; returns the word for which it was.

    Raises:
        NotWrittenDownError: the database stayed away.
    """
    ending = _ending(delivery, error)
    if ending is not None:
        write_down(db, lambda tx: _bury(tx, delivery, error, ending, sealer))
        logger.error("gave up: {}", ending.reason)
        return "gave_up"
    pause = _pause(delivery.route, delivery.envelope.attempt, error)
    due_at = datetime.now(UTC) + timedelta(seconds=pause)
    write_down(db, lambda tx: _retry(tx, delivery, error, due_at))
    logger.warning("retry scheduled in {:.1f} s: {}", pause, reason_of(error))
    return "try_later" if isinstance(error, TryLater) else "try_again"


def _ending(delivery: Delivery, error: BaseException) -> FinalFailure | None:
    route, envelope = delivery.route, delivery.envelope
    age_seconds = time.time() - envelope.first_appended_ms / 1000
    said = reason_of(error)
    if isinstance(error, GiveUp):
        return FinalFailure("gave_up", said)
    if age_seconds > route.patience.max_age_seconds:
        return FinalFailure("expired", f"older than {route.patience.max_age_seconds} s and still failing: {said}")
    if not isinstance(error, TryLater) and envelope.attempt >= route.patience.tries:
        return FinalFailure("tries_used_up", f"{envelope.attempt} tries used up, the last failed with: {said}")
    return None


def _pause(route: Route, attempt: int, error: BaseException) -> float:
    """TryLater says it; otherwise full jitter below a growing ceiling, so that failures of one second spread out."""
    if isinstance(error, TryLater):
        return error.seconds * random.uniform(1.0, 1.2)  # noqa: S311  spreads load, guards nothing
    ceiling = min(route.patience.backoff_ceiling_seconds, route.patience.backoff_base_seconds * 2 ** min(attempt, 30))
    return random.uniform(0, ceiling)  # noqa: S311  spreads load, guards nothing


def _retry(tx: Tx, delivery: Delivery, error: BaseException, due_at: datetime) -> None:
    """A redelivery after the commit finds this run written down and appends no second retry."""
    envelope = delivery.envelope
    verdict = "try_later" if isinstance(error, TryLater) else "try_again"
    if failed_runs.record(tx, _failure(delivery, verdict, error, due_at)):
        tries_spent = 0 if isinstance(error, TryLater) else 1
        following = replace(envelope, run=envelope.run + 1, attempt=envelope.attempt + tries_spent)
        append_again(tx, delivery.message, following, due_at)


def _bury(tx: Tx, delivery: Delivery, error: BaseException, ending: FinalFailure, sealer: Sealer | None) -> None:
    message, envelope = delivery.message, delivery.envelope
    original = orjson.dumps(message.model_dump(mode="json"))
    failed_runs.record(tx, _failure(delivery, "give_up", error, None))
    dead_letters.bury(
        tx,
        DeadLetter(
            source="worker",
            cause=ending.cause,
            reason=ending.reason,
            payload=redact_text(original.decode()),
            original=original,
            sealed=sealer.seal(original) if sealer else None,
            tenant_id=message.tenant_id,
            message_id=str(envelope.message_id),
            kind=message.kind,
            queue=delivery.route.queue,
            payment_id=message.payment_id,
            error_class=type(error).__name__,
            top_frame=top_frame(error.__traceback__),
            trace_id=envelope.trace_id,
            headers={
                "attempt": envelope.attempt,
                "run": envelope.run,
                "first_appended_ms": envelope.first_appended_ms,
                **_span(envelope),
            },
        ),
    )


def bury_unreadable(
    db: Database, kind: str, queue: str, payload: dict[str, Any], envelope: Envelope, reason: str, sealer: Sealer | None
) -> None:
    """A payload that its message's model refuses: a dead letter, and a line in the log as of everything given up.

    Raises:
        NotWrittenDownError: the database stayed away.
    """
    original = orjson.dumps(payload)
    dead_letter = DeadLetter(
        source="worker",
        cause="undecodable",
        reason=reason,
        payload=redact_text(original.decode()),
        original=original,
        sealed=sealer.seal(original) if sealer else None,
        message_id=str(envelope.message_id),
        kind=kind,
        queue=queue,
        trace_id=envelope.trace_id,
        headers={"attempt": envelope.attempt},
    )
    write_down(db, lambda tx: dead_letters.bury(tx, dead_letter))
    with bound(message_id=envelope.message_id, actor=kind, attempt=envelope.attempt, trace_id=envelope.trace_id):
        logger.error("gave up: {}", reason)


def _span(envelope: Envelope) -> dict[str, str]:
    """What a replay follows, so that it is seen in the trace where the message failed."""
    span_id = trace.span_of(envelope.trace_id)
    return {"span_id": span_id} if span_id else {}


def _failure(delivery: Delivery, verdict: str, error: BaseException, due_at: datetime | None) -> FailedRun:
    return FailedRun(
        tenant_id=delivery.message.tenant_id,
        message_id=delivery.envelope.message_id,
        run=delivery.envelope.run,
        attempt=delivery.envelope.attempt,
        kind=delivery.message.kind,
        payment_id=delivery.message.payment_id,
        verdict=verdict,
        error_class=type(error).__name__,
        reason=reason_of(error),
        traceback=redact_text("".join(traceback.format_exception(error)))[-LONGEST_TRACEBACK:],
        next_due_at=due_at,
    )


def reason_of(error: BaseException) -> str:
    """The error in a sentence, redacted."""
    return redact_text(getattr(error, "reason", None) or str(error) or type(error).__name__)[:LONGEST_REASON]


def top_frame(raised: TracebackType | None) -> str:
    """The frame of ours nearest to the error, as file:function; dead letters with the same one form a group.

    A file that moves takes its groups along: its migration calls `move_source_file` (0051).
    """
    ours = [frame for frame in traceback.extract_tb(raised) if _is_ours(frame.filename)]
    return f"{Path(ours[-1].filename).resolve().relative_to(_OURS)}:{ours[-1].name}" if ours else ""


def _is_ours(filename: str) -> bool:
    path = Path(filename).resolve()
    return path.is_relative_to(_OURS) and "site-packages" not in path.parts


def write_down(db: Database, write: Callable[[Tx], object]) -> None:
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
    logger.warning("database unavailable, holding the message")
    try:
        db.wait_until_reachable(seconds=left)
    except TimeLimitExceeded:  # the same; the caller's deadline still holds
        return
    except psycopg.OperationalError:
        raise NotWrittenDownError("the database is away") from error
