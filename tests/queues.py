"""Looking into queues as another service would."""

import time

from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import BasicProperties


def drain(channel: BlockingChannel, queue: str) -> list[tuple[BasicProperties, bytes]]:
    """Everything that is ready in a queue, taken out of it."""
    taken = []
    while True:
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return taken
        taken.append((properties, body))


def wait_for(channel: BlockingChannel, queue: str, count: int, *, seconds: float = 10.0) -> list[bytes]:
    """The bodies of the next `count` messages; a quorum queue shows them a moment after they were confirmed."""
    taken: list[bytes] = []
    deadline = time.monotonic() + seconds
    while len(taken) < count and time.monotonic() < deadline:
        taken += [body for _, body in drain(channel, queue)]
        if len(taken) < count:
            time.sleep(0.02)
    return taken
