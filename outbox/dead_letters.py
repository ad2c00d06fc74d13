"""Broker dead letters -> the table. RabbitMQ sets aside a message that killed its worker or that could not be decoded;
this process stores it where an operator sees it.

Phases: take one from the broker's dead letter queue, write it down, ack (outbox/consumer.py). Nothing expires at the
broker. Harmless twice: the same bytes under the same id are one dead letter.

Messages that a worker gave up on do not pass through here: the worker writes that row itself, with the whole history.
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
    """A consumer of the broker's dead letter queue: each dead letter is written in a system transaction of its own and
    then acked alone. `sealer` encrypts the original bytes, which only the replaying worker can decrypt.
    """

    def bury(delivered: list[Delivered]) -> None:
        for each in delivered:
            _bury(db, as_dead_letter(each.properties, each.body, sealer))

    def set_aside(delivered: Delivered, error: Exception) -> None:
        _bury(db, _unreadable(delivered.body, error, sealer))

    return Consumer(url, DEAD_LETTER_QUEUE, bury, set_aside, batch=1, prefetch=PREFETCH, came_at=_died_at)


def _died_at(delivered: Delivered) -> float | None:
    """Unix time at which the broker dead-lettered it: the newest `x-death` entry, which is in UTC and comes without a
    zone. None when the header is missing or malformed, because a client can write it.
    """
    try:
        # The broker puts the newest death first.
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
    """The dead letter of a message that the broker set aside; cause and reason come from its `x-death` header and its
    bytes.

    Never raises on what the message contains: an unreadable one is the cause `undecodable`. `payload` is redacted and
    cut to LARGEST_ORDER_BYTES; `original` is the payload alone for a message of ours (a replay wraps it again), else
    the bytes as they came. RabbitMQ's page on dead lettering describes `x-death`
    (https://www.rabbitmq.com/docs/dlx#effects).
    """
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
    """How it was dead-lettered, how often it was tried, and what span appended it: a replay continues from there."""
    told: dict[str, object] = {"x-death": _told(death)}
    told |= {name: _counter(options[name]) for name in _COUNTERS & options.keys()}
    span_id = str(options.get("span_id"))
    return told | ({"span_id": span_id} if trace.is_span_id(span_id) else {})


def _cause(queue: str, why: str, message: dict[str, Any] | None) -> tuple[str, str]:
    """The stored cause and its sentence, from the broker's reason first, then from the message."""
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
    """The fields of a Dramatiq message; None when the bytes are not one. Checks types only as far as this module reads
    them.
    """
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict) or not _FIELDS.keys() <= fields.keys():
        return None
    return fields if all(isinstance(fields[name], kind) for name, kind in _FIELDS.items()) else None


def _word(value: object) -> str | None:
    """A name or id of foreign origin, made safe for a text column and its index: redacted, no NUL, at most LONGEST_WORD
    long.
    """
    text = text_or_none(value)
    return None if text is None else redact_text(text)[:LONGEST_WORD]


def _counter(value: object) -> int | str | None:
    """A number that fits the database's integer; anything else stays as text, because a client can write this
    option.
    """
    return value if type(value) is int and abs(value) < 2**31 else _word(value)


def _uuid(payload: object, key: str) -> UUID | None:
    try:
        return UUID(str(payload[key])) if isinstance(payload, dict) and payload.get(key) else None
    except ValueError:
        return None


def _told(death: dict[str, Any]) -> dict[str, object]:
    """The parts of the broker's `x-death` entry that an operator needs, as JSON."""
    return {key: _word(value) for key, value in death.items() if key in {"queue", "reason", "count", "exchange"}}


def _dead_letters(
    process: Process,
    database: DatabaseSettings,
    broker: BrokerSettings,
    seal: SealSettings,
    cache: OptionalCacheSettings,
) -> Work:
    """Declare the topology, connect, and return the consumer's loop; readiness needs the database and the broker."""
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
    """The `dead-letters` process. Exit codes: 0 stopped, 69 no broker at start, 75 held up, 78 settings or topology."""
    settings = (DatabaseSettings, BrokerSettings, SealSettings, OptionalCacheSettings)
    Program("dead-letters", traced=False).run(settings, _dead_letters)


if __name__ == "__main__":
    main()
