"""One consumer of one queue, for those who bring what they take into the database.

Phases: gather what is there (a batch, or what comes within a few milliseconds), hand it over, ack what was committed.
Killed before the commit, the broker delivers again; killed after it, whoever takes the batch must find it known. While
the database is away the batch is held, neither acked nor rejected: a rejection would count as a delivery, and the
delivery limit must outlast an outage. A batch that fails for any other reason is handed over one by one, and the
message that fails again is set aside: it never stops its neighbours.
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
    """One delivery; `method` and `properties` are pika's."""

    method: Any
    properties: Any
    body: bytes


@dataclass(slots=True)
class Consumer:
    """`take` commits a batch, and raises psycopg.OperationalError while it cannot. `set_aside` commits a dead letter of
    a message over which `take` failed, with the error's class as the reason. `run` reconnects until asked to stop.

    linger_seconds: how long the first of a batch may wait for company. came_at: when a delivery came into the world, if
    it says so.
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
        """From now on the scale signals count this consumer, where a cache is named."""
        if cache.redis_url is not None:
            keep_telling(cache, self.load)

    def load(self) -> Load:
        oldest = {} if self._oldest_at is None else {self.queue: self._oldest_at}
        return Load({self.queue: self._unacked}, {self.queue: self._handled}, oldest)

    def run(self) -> None:
        while not self.stopping.is_set():
            beat(self.queue)
            try:
                self._consume()
            except (AMQPError, OSError) as error:
                logger.warning("broker unavailable, reconnecting: {}", type(error).__name__)
                self.stopping.wait(AWAY_PAUSE_SECONDS)
                if isinstance(error, ChannelClosedByBroker) and error.reply_code == NOT_FOUND:
                    self._declare()

    def _declare(self) -> None:
        """The queue is not there: the broker is another one, an empty one, and so is all that stood at it."""
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
        """Queues are in order, so the first of a batch is the oldest, of those that say when they came."""
        self._unacked = len(batch) + fetched_ahead
        self._oldest_at = next((at for each in batch if (at := self._came_at(each)) is not None), None)

    def _came_at(self, delivered: Delivered) -> float | None:
        """Only a figure for the scale signals: no message may fail because of it."""
        try:
            return self.came_at(delivered) if self.came_at else None
        except Exception:  # noqa: BLE001  whatever the message holds
            return None

    def _gather(self, channel: BlockingChannel) -> list[Delivered]:
        """What is there; at least one unless the queue is idle."""
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
        """Hand the batch over, one by one when it fails as a whole; False when asked to stop meanwhile."""
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
        """If even this fails, the message is held: acked without a dead letter it would be lost."""
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
        """Do it, holding what it is about while the database is away; False when asked to stop meanwhile."""
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
