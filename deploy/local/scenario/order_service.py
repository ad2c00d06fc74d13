"""The order service, on real AMQP: publishes a sale at its pace, receives the published events, and lets buyers act.

It keeps a log of what it asked for and what it received, one JSON object a line: the checker compares against it. A
line is written before its event is published, so that nothing asked for can be missing from it.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Self

import pika
from pika.exceptions import AMQPError
from urllib3.exceptions import HTTPError

from deploy.local.scenario.buyers import Buyers
from deploy.local.scenario.events import Publication
from deploy.local.stripe.control import ControlRefusedError, EmulatorControl
from messages.queues import ORDER_SERVICE_QUEUE, ORDERS_EXCHANGE
from outbox.broker.publisher import BrokerAwayError, Outgoing, Publisher
from outbox.broker.urls import nodes

TICK_SECONDS = 0.05
AWAY_PAUSE_SECONDS = 0.5
# Of a hundred buyers asked to authenticate: most do, some fail, the rest walk away and leave the payment with them.
_AUTHENTICATE, _FAIL = 80, 10


class OrderService:
    """Publishes from the caller's thread, listens on one of its own.

    Without `control` no buyer answers 3-D Secure; without `buyers` nobody asks for anything after the sale.
    """

    def __init__(
        self, url: str, log: Path, control: EmulatorControl | None, seed: int, buyers: Buyers | None = None
    ) -> None:
        self.published = 0
        self.received = 0
        self.buyers = buyers or Buyers.none()
        self._url = url
        self._control = control
        self._chance = Random(seed)  # noqa: S311  seeded, not a secret
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("a")
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="order-service", daemon=True)

    def __enter__(self) -> Self:
        self._write({"listening": True})
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._listener.join(timeout=10)
        self._log.close()

    def publish(self, sale: Iterable[Publication], *, rate: float) -> Iterator[None]:
        """Publish at `rate` events a second; yields after each tick, so that the caller can draw."""
        publisher = Publisher(self._url)
        started, done, waiting = time.monotonic(), 0, iter(sale)
        more = True
        while more:
            allowed = int((time.monotonic() - started) * rate) + 1 - done
            batch = [publication for _, publication in zip(range(allowed), waiting, strict=False)]
            more = len(batch) == allowed
            self._publish(publisher, batch)
            done += len(batch)
            yield
            time.sleep(TICK_SECONDS)
        publisher.close()

    def publish_now(self, batch: list[Publication]) -> None:
        """Publish a few events at once."""
        publisher = Publisher(self._url)
        self._publish(publisher, batch)
        publisher.close()

    def publish_requests(self) -> int:
        """Publish what buyers have asked for since the last time; returns how much that was."""
        requests = self.buyers.requests()
        if requests:
            self.publish_now(requests)
        return len(requests)

    def _publish(self, publisher: Publisher, batch: list[Publication]) -> None:
        for publication in batch:
            self._write(publication.log)
        outgoing = [Outgoing(ORDERS_EXCHANGE, publication.routing_key, "", publication.body) for publication in batch]
        while outgoing:
            try:
                refused = publisher.publish(outgoing)
            except BrokerAwayError:
                time.sleep(AWAY_PAUSE_SECONDS)
                continue
            outgoing = [outgoing[position] for position in sorted(refused)]
        self.published += len(batch)

    def _listen(self) -> None:
        """Receives every published event, across restarts of the broker."""
        while not self._stopping.is_set():
            with contextlib.suppress(AMQPError, OSError):
                self._consume()
            self._stopping.wait(AWAY_PAUSE_SECONDS)

    def _consume(self) -> None:
        connection = pika.BlockingConnection(nodes(self._url))
        try:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=200)
            for method, _, body in channel.consume(ORDER_SERVICE_QUEUE, inactivity_timeout=0.2):
                if method is not None:
                    self._receive(json.loads(body))
                    channel.basic_ack(method.delivery_tag)
                if self._stopping.is_set():
                    return
        finally:
            if connection.is_open:
                connection.close()

    def _receive(self, event: dict[str, Any]) -> None:
        if not event["type"].startswith("group."):  # each payment of a group has events of its own
            self._write({"told": event["type"], "event_id": event["id"], "payment_id": event["data"]["payment_id"]})
        self.received += 1
        self.buyers.receive(event)
        if event["type"] == "payment.requires_action":
            self._act_as_the_buyer(event["data"]["payment_intent_id"])

    def _act_as_the_buyer(self, intent_id: str) -> None:
        if (control := self._control) is None:
            return
        throw = self._chance.randrange(100)
        if throw >= _AUTHENTICATE + _FAIL:
            return
        # Refused: the event came twice, and the buyer has acted already. No answer: this buyer gives up, as some do.
        with contextlib.suppress(ControlRefusedError, HTTPError):
            control.complete_authentication(intent_id, "succeed" if throw < _AUTHENTICATE else "fail")

    def _write(self, line: dict[str, Any]) -> None:
        with self._writing:
            self._log.write(json.dumps(line) + "\n")
            self._log.flush()
