"""The Dramatiq broker with our topology: quorum queues, a delivery limit, lasting dead letters, nothing in memory.

Dramatiq's own delay queue and retries are not used: they keep delayed messages unacked in worker memory, ack even when
the re-enqueue failed, and drop dead letters after seven days. Here a retry is an outbox row (workers/runtime/actor.py),
so the broker only ever holds work that is due now. A message is acked once its outcome is committed. A message that is
not (its worker could not reach the database) goes back to the queue, and the delivery limit ends it in the lasting dead
letter queue.

This module overrides private methods of Dramatiq 2.2 (`_nack`, `_declare_queue`, ...): read them again at each upgrade.
"""

from functools import partial
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.middleware import ShutdownNotifications, TimeLimit
from pika.exceptions import ChannelClosedByBroker

from messages.queues import HELD_OF_SLOW_QUEUES, SLOW_QUEUES
from outbox.broker.topology import ACCESS_REFUSED, work_queue_arguments
from outbox.broker.urls import shuffled
from outbox.process.heartbeat import beat

# Options of a message that say what the broker should do with it (set by workers/runtime/actor.py, read by the
# consumer).
GIVE_BACK = "give_back"


class FleetConsumer(_RabbitmqConsumer):
    """Rejects to the dead letter queue, except what a worker gives back (option GIVE_BACK): that is delivered again.

    Dramatiq settles a message at the consumer of the queue that its body names. A body that names another queue than
    the one it came from would be settled on a channel where its delivery tag is another message's (which would then be
    lost), and one that names no queue of ours would end the worker's thread. So the queue it came from counts.
    """

    def __next__(self) -> Any:
        """The next message, or None after the idle timeout. Runs on Dramatiq's consumer thread, which sends its
        heartbeat here.
        """
        beat(self.queue_name)
        message = super().__next__()  # type: ignore[no-untyped-call]  # Dramatiq types its public face only
        if message is not None and message.queue_name != self.queue_name:
            message._message = message._message.copy(queue_name=self.queue_name)
        return message

    def _nack(self, tag: int, *, requeue: bool = False) -> None:
        self.connection.add_callback_threadsafe(partial(self.channel.basic_nack, tag, requeue=requeue))

    def nack(self, message: Any) -> None:
        """Reject a message, or requeue it when it carries GIVE_BACK. Called from worker threads, so the frame itself is
        sent by the connection's thread. A second call for the same message does nothing: its tag is known no more.
        """
        if not message.options.get(GIVE_BACK):
            super().nack(message)  # type: ignore[no-untyped-call]  # Dramatiq types its public face only
            return
        if message._tag in self.known_tags:
            self.known_tags.remove(message._tag)
            self._nack(message._tag, requeue=True)


class FleetBroker(RabbitmqBroker):
    """Consumes only. Whatever is to be published goes through the outbox. `consuming` has the newest consumer of each
    queue.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url=shuffled(url), middleware=[TimeLimit(), ShutdownNotifications()])
        self.consuming: dict[str, FleetConsumer] = {}

    @property
    def consumer_class(self) -> type[FleetConsumer]:
        return FleetConsumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> FleetConsumer:
        """Hold as many messages of a queue as there are threads, and few of a slow one.

        Dramatiq asks for twice its threads (`prefetch`), of every queue. But a process that dies gives back all that it
        held, each as one more failed delivery, so that a few deaths in a row would dead-letter messages that no worker
        has begun to process. Called again and again while the broker is unreachable, so it sends a heartbeat: the
        thread is alive.
        """
        beat(queue_name)
        held = HELD_OF_SLOW_QUEUES if queue_name in SLOW_QUEUES else max(1, prefetch // 2)
        consumer: FleetConsumer = super().consume(queue_name, held, timeout)  # type: ignore[assignment]  # is ours
        self.consuming[queue_name] = consumer
        return consumer

    def unacked(self) -> dict[str, int]:
        """Unacked deliveries of this process by queue: being processed, and fetched ahead. Safe to call from any
        thread.
        """
        return {queue: len(consumer.known_tags) for queue, consumer in self.consuming.items()}

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Our queue alone: no delay queue, no expiring dead letter queue."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.queues_pending.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._ensure_queue(queue_name)  # type: ignore[no-untyped-call]  # Dramatiq types its public face only

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        del queue_name
        return work_queue_arguments()

    def _declare_queue(self, queue_name: str) -> Any:
        """Declare, or, for a broker user without that permission, check passively that the queue exists."""
        try:
            return super()._declare_queue(queue_name)  # type: ignore[no-untyped-call]  # Dramatiq types its public face only
        except ChannelClosedByBroker as error:
            if error.reply_code != ACCESS_REFUSED:
                raise
            del self.channel
            return self.channel.queue_declare(queue_name, passive=True)

    def _declare_dq_queue(self, queue_name: str) -> None:
        """There is none: a delay is a due time in the outbox."""

    def _declare_xq_queue(self, queue_name: str) -> None:
        """There is none: dead letters are declared by outbox/broker/topology.py, without a time to live."""

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        """Always refused: Dramatiq publishes outside the caller's transaction.

        Raises:
            RuntimeError: always; it is a mistake in our code.
        """
        del delay
        raise RuntimeError(f"{message.actor_name}.send() bypasses the outbox; use outbox.append.append(tx, ...)")
