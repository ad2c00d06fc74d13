"""Broker dead letters -> the table. A message that killed its worker, or that nobody could read, is set aside by
RabbitMQ; this process brings it where a person sees it.

Phases: take one from the broker's dead letter queue, write it down, ack (outbox/consumer.py). Nothing expires at the
broker. Harmless twice: the same bytes under the same id are one dead letter.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from loguru import logger

from db.dead_letters import dead_letters
from db.dead_letters.dead_letters import DeadLetter
from db.session import Database
from db.settings import DatabaseSettings
from db.text import text_or_none
from messages.queues import DEAD_LETTER_QUEUE, LARGEST_ORDER_BYTES, ORDERS_QUEUE, kind_to_message
from messages.runtime import trace
from messages.runtime.cache import OptionalCacheSettings
from messages.runtime.crash_points import crash_point
from messages.runtime.redaction import redact_text
from outbox.broker import topology
from outbox.broker.settings import BrokerSettings
from outbox.consumer import Consumer, Delivered
from outbox.monitoring.checks import broker_check, database_check
from outbox.process.run import Process, Program, Work
from outbox.sealing import Sealer, SealSettings

PREFETCH = 20
# Ids and names of ours have at most 36 characters; an entry of an index holds some 2,700 bytes.
LONGEST_WORD = 200
_FIELDS = {"actor_name": str, "message_id": object, "kwargs": dict, "options": dict}
_COUNTERS = {"attempt", "run"}


def drain(db: Database, url: str, sealer: Sealer) -> Consumer:
    """A consumer of the broker's dead letter queue, one dead letter at a time."""

    def bury(delivered: list[Delivered]) -> None:
        for each in delivered:
            _bury(db, as_dead_letter(each.properties, each.body, sealer))

    def set_aside(delivered: Delivered, error: Exception) -> None:
        _bury(db, _unreadable(delivered.body, error, sealer))

    return Consumer(url, DEAD_LETTER_QUEUE, bury, set_aside, batch=1, prefetch=PREFETCH, came_at=_died_at)


def _died_at(delivered: Delivered) -> float | None:
    """As the broker tells it, in UTC."""
    try:
        died: datetime = delivered.properties.headers["x-death"][0]["time"]
        return died.replace(tzinfo=UTC).timestamp()
    except (TypeError, KeyError, IndexError, AttributeError):
        return None


def _bury(db: Database, dead_letter: DeadLetter) -> None:
    with db.system_transaction() as tx:
        dead_letters.bury(tx, dead_letter)
        crash_point("dead_letters.before_commit")
    crash_point("dead_letters.after_commit")
    logger.error("broker dead-lettered a message: {}", dead_letter.reason)


def _unreadable(body: bytes, error: Exception, sealer: Sealer) -> DeadLetter:
    """A dead letter of the bytes alone, where what stands beside them could not be written down."""
    return DeadLetter(
        source="broker",
        cause="undecodable",
        reason=f"an unexpected {type(error).__name__} while the dead-lettered message was read",
        payload=_readable(body),
        original=body,
        sealed=sealer.seal(body),
        error_class=type(error).__name__,
    )


def _readable(body: bytes) -> str:
    return redact_text(body[:LARGEST_ORDER_BYTES].decode("utf-8", errors="backslashreplace"))


def as_dead_letter(properties: Any, body: bytes, sealer: Sealer) -> DeadLetter:
    """What the broker set aside, with the cause that its headers and its bytes tell."""
    death = _first_death(properties.headers)
    queue, why = _word(death.get("queue")) or "", _word(death.get("reason")) or ""
    message = _dramatiq_fields(body)
    kind = _word(message["actor_name"]) if message else ("order.placed" if queue == ORDERS_QUEUE else None)
    cause, reason = _cause(queue, why, message)
    payload = message["kwargs"].get("payload") if message else None
    original = orjson.dumps(payload) if isinstance(payload, dict) else body
    options = message["options"] if message else {}
    return DeadLetter(
        source="broker",
        cause=cause,
        reason=reason,
        payload=_readable(original),
        original=original,
        sealed=sealer.seal(original),
        message_id=_word(message["message_id"] if message else properties.message_id),
        kind=kind,
        queue=queue,
        tenant_id=_uuid(payload, "tenant_id"),
        payment_id=_uuid(payload, "payment_id"),
        error_class=why,
        trace_id=_word(options.get("trace_id")),
        headers=_headers(death, options),
    )


def _first_death(headers: dict[str, Any] | None) -> dict[str, Any]:
    """What the broker tells of the latest death; a publisher may have put anything in its place."""
    deaths = (headers or {}).get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths else None
    return first if isinstance(first, dict) else {}


def _headers(death: dict[str, Any], options: dict[str, Any]) -> dict[str, object]:
    """How it died, how often it was tried, and what appended it: a replay goes on from there."""
    told: dict[str, object] = {"x-death": _told(death)}
    told |= {name: _counter(options[name]) for name in _COUNTERS & options.keys()}
    span_id = str(options.get("span_id"))
    return told | ({"span_id": span_id} if trace.is_span_id(span_id) else {})


def _cause(queue: str, why: str, message: dict[str, Any] | None) -> tuple[str, str]:
    if why == "delivery_limit":
        return "killed_worker", f"delivered again and again from {queue!r} without an end: it kills its worker"
    if why == "expired":
        return "expired", f"expired at the broker in {queue!r}"
    if message is None:
        return "undecodable", f"the bytes in {queue!r} are no message of ours"
    if message["actor_name"] not in kind_to_message():
        return "unknown_actor", f"no actor is called {_word(message['actor_name'])!r}"
    return "refused", f"rejected from {queue!r} ({why or 'no reason given'})"


def _dramatiq_fields(body: bytes) -> dict[str, Any] | None:
    """The fields of a Dramatiq message; None when the bytes are none."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict) or not _FIELDS.keys() <= fields.keys():
        return None
    return fields if all(isinstance(fields[name], kind) for name, kind in _FIELDS.items()) else None


def _word(value: object) -> str | None:
    """A name or id as a row and its index can hold it: whoever wrote the message was not bound by ours."""
    text = text_or_none(value)
    return None if text is None else redact_text(text)[:LONGEST_WORD]


def _counter(value: object) -> int | str | None:
    return value if type(value) is int and abs(value) < 2**31 else _word(value)


def _uuid(payload: object, key: str) -> UUID | None:
    try:
        return UUID(str(payload[key])) if isinstance(payload, dict) and payload.get(key) else None
    except ValueError:
        return None


def _told(death: dict[str, Any]) -> dict[str, object]:
    """The broker's own story of the death, as JSON can hold it."""
    return {key: _word(value) for key, value in death.items() if key in {"queue", "reason", "count", "exchange"}}


def _dead_letters(
    process: Process,
    database: DatabaseSettings,
    broker: BrokerSettings,
    seal: SealSettings,
    cache: OptionalCacheSettings,
) -> Work:
    url = broker.rabbitmq_url.get_secret_value()
    topology.declare_when_reachable(url)
    db = process.database(database)
    consumer = drain(db, url, Sealer(seal))
    consumer.stopping = process.stopping
    process.serve_health({"db": database_check(db), "broker": broker_check(broker)}, ("db", "broker"))
    logger.info("dead letter drain started")
    consumer.tell_load(cache)
    return consumer.run


def main() -> None:
    settings = (DatabaseSettings, BrokerSettings, SealSettings, OptionalCacheSettings)
    Program("dead-letters", traced=False).run(settings, _dead_letters)


if __name__ == "__main__":
    main()
