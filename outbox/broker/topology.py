"""What must exist at the broker, declared and checked at every start.

All queues are quorum queues: they survive a broker's death, count deliveries, and dead-letter a message that keeps
killing its worker (x-delivery-limit). Dead lettering is at-least-once and lasting: the dead letter queue has no time to
live (https://www.rabbitmq.com/docs/quorum-queues). A queue that exists with other arguments is reported as drift and
never changed or deleted.
"""

import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPConnectionError, AMQPError, ChannelClosedByBroker
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from messages.queues import (
    DEAD_LETTER_EXCHANGE,
    DEAD_LETTER_QUEUE,
    DELIVERY_LIMIT,
    EVENTS_EXCHANGE,
    NOTIFICATION_QUEUE,
    NOTIFIED,
    ORDER_SERVICE_QUEUE,
    ORDERS_BINDING,
    ORDERS_EXCHANGE,
    ORDERS_QUEUE,
    PUBLIC_EVENTS,
    ROUTES,
)
from messages.runtime.settings import EX_CONFIG
from outbox.broker.urls import nodes

EX_UNAVAILABLE = 69  # sysexits.h
ACCESS_REFUSED = 403  # AMQP 0-9-1
EXCHANGES = (ORDERS_EXCHANGE, EVENTS_EXCHANGE, DEAD_LETTER_EXCHANGE)  # all of type topic


class TopologyDriftError(Exception):
    """The broker's exchanges or queues differ from our declaration; the message says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable queue. `arguments` are those of queue.declare (`x-...`), `bindings` pairs of (exchange, routing
    key).
    """

    name: str
    arguments: dict[str, Any]
    bindings: tuple[tuple[str, str], ...] = field(default=())  # (exchange, routing key)


def work_queue_arguments() -> dict[str, Any]:
    """Arguments of every queue that a process of ours works from. At-least-once dead lettering requires
    reject-publish.
    """
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD_LETTER_EXCHANGE,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def queues() -> list[Queue]:
    """Every queue of the fleet, the dead letter queue first: the others point to it."""
    work = sorted({route.queue for route in ROUTES.values()})
    families = sorted({f"{fact.event_type.partition('.')[0]}.#" for fact in PUBLIC_EVENTS})
    return [
        Queue(DEAD_LETTER_QUEUE, {"x-queue-type": "quorum"}, ((DEAD_LETTER_EXCHANGE, "#"),)),
        Queue(ORDERS_QUEUE, work_queue_arguments(), ((ORDERS_EXCHANGE, ORDERS_BINDING),)),
        Queue(ORDER_SERVICE_QUEUE, {"x-queue-type": "quorum"}, tuple((EVENTS_EXCHANGE, family) for family in families)),
        Queue(
            NOTIFICATION_QUEUE,
            {"x-queue-type": "quorum"},
            tuple((EVENTS_EXCHANGE, told.event_type) for told in NOTIFIED),
        ),
        *(Queue(name, work_queue_arguments()) for name in work),
    ]


# RabbitMQ closes the channel of a consumer that holds a delivery longer than this (its default, consumer_timeout).
BROKER_HOLDS_SECONDS = 1_800


def problems_of_patience(held_seconds: float) -> list[str]:
    """What is wrong with the queue table, as sentences; an empty list when nothing is.

    `held_seconds` is how long a worker may hold a finished run before it acks. Called at the start of the workers,
    because the two limits are in different systems and nothing else compares them.
    """
    problems = []
    for message, route in ROUTES.items():
        longest = route.patience.time_limit_seconds + held_seconds
        if longest >= BROKER_HOLDS_SECONDS:
            problems.append(
                f"a {message.kind} may be held for {longest:.0f} s, and RabbitMQ takes a delivery back after "
                f"{BROKER_HOLDS_SECONDS} s: shorten its time limit in messages/queues.py"
            )
        if route.patience.backoff_base_seconds > route.patience.backoff_ceiling_seconds or route.patience.tries < 1:
            problems.append(f"the backoff of {message.kind} is upside down: mend its row in messages/queues.py")
    return problems


def connect(parameters: Sequence[pika.URLParameters]) -> pika.BlockingConnection:
    """A blocking connection to the first of these nodes that answers.

    pika raises one family of errors for a broker that is down and another for one that accepts and does not answer;
    here both are AMQPConnectionError.

    Raises:
        pika.exceptions.AMQPConnectionError: the broker is unreachable, or does not answer.
    """
    try:
        return pika.BlockingConnection(parameters)
    except AMQPConnectorException as error:
        raise AMQPConnectionError(f"the broker does not answer: {type(error).__name__}") from error


def declare(url: str) -> None:
    """Declare exchanges, queues and bindings; declaring what exists already changes nothing.

    A broker user that may not declare (deploy/broker_users.py: none of the processes may) checks whether they exist.

    Raises:
        TopologyDriftError: a queue or exchange exists with other arguments, or is missing and may not be declared.
        pika.exceptions.AMQPConnectionError: the broker is unreachable.
        ssl.SSLError: the broker's certificate is not valid; pika passes it on as it is.
    """
    connection = connect(nodes(url))
    try:
        for exchange in EXCHANGES:
            _checked(
                exchange,
                lambda name=exchange: _channel(connection).exchange_declare(name, "topic", durable=True),
                lambda name=exchange: _channel(connection).exchange_declare(name, passive=True),
            )
        for queue in queues():
            _checked(
                queue.name,
                lambda queue=queue: _declare_queue(_channel(connection), queue),
                lambda queue=queue: _channel(connection).queue_declare(queue.name, passive=True),
            )
    finally:
        if connection.is_open:
            connection.close()


def declare_when_reachable(url: str, *, seconds: float = 60.0) -> None:
    """Declare, waiting up to `seconds` for a broker that is still starting. Called once at the start of a process.

    Raises:
        SystemExit: drift, or an invalid certificate (exit code 78); no broker in time (exit code 69, "service
            unavailable").
    """
    waiting = Retrying(
        retry=retry_if_exception_type(AMQPConnectionError),
        wait=wait_random_exponential(multiplier=0.2, max=3),
        stop=stop_after_delay(seconds),
        reraise=True,
    )
    try:
        waiting(declare, url)
    except TopologyDriftError as error:
        sys.stderr.write(f"This process cannot start:\n  - {error}\n")
        raise SystemExit(EX_CONFIG) from None
    except ssl.SSLError as error:
        sys.stderr.write(f"This process cannot start:\n  - RABBITMQ_URL: TLS to the broker fails: {error.reason}.\n")
        raise SystemExit(EX_CONFIG) from None
    except AMQPConnectionError as error:
        why = f"no broker at RABBITMQ_URL within {seconds:.0f} s ({type(error).__name__})"
        sys.stderr.write(f"This process cannot start:\n  - {why}.\n")
        raise SystemExit(EX_UNAVAILABLE) from None


def _channel(connection: pika.BlockingConnection) -> BlockingChannel:
    """A new channel for each declaration: the broker closes the channel on which one fails."""
    return connection.channel()


def _declare_queue(channel: BlockingChannel, queue: Queue) -> None:
    channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
    for exchange, routing_key in queue.bindings:
        channel.queue_bind(queue.name, exchange, routing_key)


def _checked(name: str, declaration: Any, look: Any) -> None:
    """Run a declaration; without the permission to declare (403) only look, and turn a mismatch (406) into a
    sentence.
    """
    try:
        declaration()
    except ChannelClosedByBroker as error:
        if error.reply_code == ACCESS_REFUSED:
            _look_for(name, look)
            return
        if error.reply_code != 406:
            raise
        raise TopologyDriftError(
            f"{name!r} stands at the broker with other arguments ({error.reply_text}). Nothing was changed. "
            f"Drain it, delete it and start again, or give the fleet a vhost of its own."
        ) from None


def _look_for(name: str, look: Any) -> None:
    """A passive declaration, which needs no permission to configure."""
    try:
        look()
    except ChannelClosedByBroker as error:
        raise TopologyDriftError(
            f"{name!r} does not stand at the broker and this user may not declare it ({error.reply_text}). "
            f"Import the definitions of this version first: python -m deploy.broker_users."
        ) from None


def depths(url: str) -> dict[str, int]:
    """Ready messages per queue of ours, unacked ones not included; -1 for a queue that does not exist.

    One short connection per call, passive declarations only. Called every few seconds by the collector and the console.

    Raises:
        pika.exceptions.AMQPConnectionError: the broker is unreachable.
    """
    found: dict[str, int] = {}
    connection = connect(nodes(url))
    try:
        channel = connection.channel()
        for queue in queues():
            if channel.is_closed:  # what the broker does when a queue does not stand
                channel = connection.channel()
            found[queue.name] = _depth(channel, queue.name)
    finally:
        connection.close()
    return found


def _depth(channel: BlockingChannel, name: str) -> int:
    try:
        return int(channel.queue_declare(name, passive=True).method.message_count)
    except ChannelClosedByBroker:
        return -1


def is_reachable(url: str) -> bool:
    """True when the broker, or a node of it, opens a connection for us; about two seconds for each node at most."""
    parameters = nodes(url)
    for node in parameters:
        node.socket_timeout = node.stack_timeout = node.blocked_connection_timeout = 2
        node.connection_attempts = 1
    try:
        connect(parameters).close()
    except (AMQPError, OSError):
        return False
    return True
