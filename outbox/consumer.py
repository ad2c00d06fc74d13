"""One consumer of one queue, for processes that store what they consume in the database: order intake and the drain of
dead letters. Workers do not use it (outbox/broker/dramatiq_broker.py).

Phases: gather what is there (a batch, or what arrives within a few milliseconds), pass it to `take`, ack what was
committed. Killed before the commit, the broker delivers again; killed after it, `take` must recognise the batch. While
the database is unreachable the batch is held, neither acked nor rejected: a rejection would count as a delivery, and
the delivery limit must outlast an outage. A batch that fails for any other reason is passed on one by one, and the
message that fails again is set aside as a dead letter: it never stops its neighbours.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import pika
import psycopg
from loguru import logger
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker
from psycopg import errors

from messages.runtime.cache import OptionalCacheSettings
from outbox.broker import topology
from outbox.broker.topology import connect
from outbox.broker.urls import nodes
from outbox.process.heartbeat import beat
from outbox.process.load import Load, keep_telling

NOT_FOUND = 404  # AMQP 0-9-1
# How soon one who is asked to stop looks up from an empty queue.
IDLE_SECONDS = 0.25
AWAY_PAUSE_SECONDS = 1.0
# Not the fault of a message: no connection, a timeout, or a schema that another release expects.
_AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
)


@dataclass(frozen=True, slots=True)
class Delivered:
    """One delivery; `method` and `properties` are pika's, `body` the bytes as the sender published them."""

    method: Any
    properties: Any
    body: bytes


@dataclass(slots=True)
class Consumer:
    """Consumes on the thread that calls `run`; reconnects by itself until `stopping` is set.

    Attributes:
        url: RABBITMQ_URL, possibly several nodes.
        take: commits a batch, in the order of the queue, before it returns. It raises psycopg.OperationalError while it
            cannot, and is then called again with the same batch. After any other exception it is called with one
            delivery at a time.
        set_aside: commits a dead letter of a delivery on which `take` failed alone; it names the exception's class.
        batch: the most deliveries that `take` gets at once.
        prefetch: unacked deliveries the broker sends ahead (basic.qos); more than `batch`, so that the next one is
            ready.
        linger_seconds: how long the first delivery of a batch may wait for others.
        came_at: Unix time (seconds) at which a delivery was created, or None when it does not say; for the age metric
            only.
    """

    url: str
    queue: str
    take: Callable[[list[Delivered]], None]
    set_aside: Callable[[Delivered, Exception], None]
    batch: int
    prefetch: int
    linger_seconds: float = 0.0
    came_at: Callable[[Delivered], float | None] | None = None
    stopping: Event = field(default_factory=Event)
    _unacked: int = 0
    _handled: int = 0
    _oldest_at: float | None = None

    def tell_load(self, cache: OptionalCacheSettings) -> None:
        """Start to publish this consumer's load to the cache, for the scale signals; without REDIS_URL, do nothing."""
        if cache.redis_url is not None:
            keep_telling(cache, self.load)

    def load(self) -> Load:
        """Unacked and handled deliveries, and the age of the oldest in hand. Called from the load thread: reads plain
        attributes without a lock, so the three numbers may belong to neighbouring moments.
        """
        oldest = {} if self._oldest_at is None else {self.queue: self._oldest_at}
        return Load({self.queue: self._unacked}, {self.queue: self._handled}, oldest)

    def run(self) -> None:
        """Consume until asked to stop. An unreachable broker is waited out; a missing queue is declared again."""
        while not self.stopping.is_set():
            beat(self.queue)
            try:
                self._consume()
            except (AMQPError, OSError) as error:
                logger.warning("broker unavailable, reconnecting: {}", type(error).__name__)
                self.stopping.wait(AWAY_PAUSE_SECONDS)
                # Any other closed channel is cured by a new connection; a missing queue would be missing for ever.
                if isinstance(error, ChannelClosedByBroker) and error.reply_code == NOT_FOUND:
                    self._declare()

    def _declare(self) -> None:
        """The queue does not exist (404): the broker was replaced by an empty one, so declare the whole topology."""
        try:
            topology.declare(self.url)
        except (topology.TopologyDriftError, AMQPError, OSError) as error:
            logger.error("queue {} could not be declared: {}", self.queue, error)

    def _consume(self) -> None:
        connection = connect(nodes(self.url))
        try:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=self.prefetch)
            while not self.stopping.is_set():
                beat(self.queue)
                batch = self._gather(channel)
                self._note(batch, channel.get_waiting_message_count())
                if batch and self._taken(connection, batch):
                    # Tags grow within a channel, so the last one acks the whole batch.
                    channel.basic_ack(batch[-1].method.delivery_tag, multiple=True)
                    self._handled += len(batch)
        finally:
            self._note([], 0)
            if connection.is_open:
                connection.close()

    def _note(self, batch: list[Delivered], fetched_ahead: int) -> None:
        """Record what is in hand, for `load`. A queue is in order: the first delivery that has a time is the oldest."""
        self._unacked = len(batch) + fetched_ahead
        self._oldest_at = next((at for each in batch if (at := self._came_at(each)) is not None), None)

    def _came_at(self, delivered: Delivered) -> float | None:
        """Only a figure for the scale signals: no message may fail because of it."""
        try:
            return self.came_at(delivered) if self.came_at else None
        except Exception:  # noqa: BLE001  whatever the message holds
            return None

    def _gather(self, channel: BlockingChannel) -> list[Delivered]:
        """Up to `batch` deliveries; empty when the queue was idle for IDLE_SECONDS, so that the caller can check for a
        stop.
        """
        gathered: list[Delivered] = []
        deadline, timeout = 0.0, IDLE_SECONDS
        while len(gathered) < self.batch:
            method, properties, body = next(channel.consume(self.queue, inactivity_timeout=timeout))
            if method is None:
                break
            gathered.append(Delivered(method, properties, body or b""))
            deadline = deadline or time.monotonic() + self.linger_seconds
            timeout = max(0.0005, deadline - time.monotonic())
            if time.monotonic() >= deadline:
                break
        return gathered

    def _taken(self, connection: pika.BlockingConnection, batch: list[Delivered]) -> bool:
        """Pass the batch to `take`, one by one when it fails as a whole. False when asked to stop meanwhile: the batch
        is then not acked, and closing the connection returns it to the queue.
        """
        try:
            return self._done(connection, lambda: self.take(batch))
        except AMQPError:  # of the heartbeats while holding
            raise
        except Exception as error:  # noqa: BLE001  any error about a message is that message's
            logger.warning("{} messages of {} taken one by one: {}", len(batch), self.queue, type(error).__name__)
            return all(self._taken_alone(connection, each) for each in batch)

    def _taken_alone(self, connection: pika.BlockingConnection, delivered: Delivered) -> bool:
        try:
            return self._done(connection, lambda: self.take([delivered]))
        except AMQPError:
            raise
        except Exception as error:  # noqa: BLE001  as above
            logger.error("message of {} set aside: {}", self.queue, type(error).__name__)
            failed = error
        return self._set_aside(connection, delivered, failed)

    def _set_aside(self, connection: pika.BlockingConnection, delivered: Delivered, failed: Exception) -> bool:
        """While even this fails the message is held: acked without a dead letter it would be lost."""
        while not self.stopping.is_set():
            try:
                return self._done(connection, lambda: self.set_aside(delivered, failed))
            except AMQPError:
                raise
            except Exception as error:  # noqa: BLE001  as above
                logger.error("message of {} cannot be set aside: {}", self.queue, type(error).__name__)
                connection.sleep(AWAY_PAUSE_SECONDS)
        return False

    def _done(self, connection: pika.BlockingConnection, work: Callable[[], None]) -> bool:
        """Do the work, retrying while the database is unreachable. False when asked to stop meanwhile."""
        while not self.stopping.is_set():
            beat(self.queue)
            try:
                work()
            except _AWAY as error:
                logger.warning("database unavailable, holding messages of {}: {}", self.queue, type(error).__name__)
                connection.sleep(AWAY_PAUSE_SECONDS)  # keeps the heartbeats going
                continue
            return True
        return False
