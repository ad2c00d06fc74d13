"""The load of a process, published to the cache every two seconds, for autoscaling: workers, and the consumers of
orders and dead letters.

The broker reports ready messages and not unacked ones, and a worker that holds the last messages of an empty queue must
not be taken for an idle one. No safety depends on it: without the cache there is no signal, which is not the same as a
signal of zero.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import orjson
import redis

from messages.runtime.cache import OptionalCacheSettings

KEY = "fleet:load"
TELL_SECONDS = 2.0
STALE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Load:
    """The load of one process, each by queue.

    Attributes:
        unacked: deliveries it has not acked.
        handled: messages it has handled since it started; only grows, and starts at zero again after a restart.
        oldest_at: Unix time (seconds) at which the oldest delivery in hand was created; only queues whose senders say
            it.
    """

    unacked: dict[str, int]
    handled: dict[str, int]
    oldest_at: dict[str, float] = field(default_factory=dict)


def tell(cache: "redis.Redis", process: str, load: Load) -> None:
    """Write this process's load under its name; the whole hash expires an hour after the last write of any process.

    Raises:
        redis.RedisError: the cache is unreachable.
    """
    told = {"at": time.time(), "unacked": load.unacked, "handled": load.handled, "oldest_at": load.oldest_at}
    cache.hset(KEY, process, orjson.dumps(told).decode())
    cache.expire(KEY, 3_600)


def loads(cache: "redis.Redis") -> dict[str, Load]:
    """By name, the load of every process that reported within STALE_SECONDS; older entries are deleted.

    Compares the writers' clocks with ours, so clocks must agree within seconds.

    Raises:
        redis.RedisError: the cache is unreachable.
    """
    found: dict[str, Load] = {}
    stale: list[str] = []
    everybody: dict[bytes, bytes] = cache.hgetall(KEY)  # type: ignore[assignment]  # the client is no async one
    for name, text in everybody.items():
        told = orjson.loads(text)
        if time.time() - told["at"] > STALE_SECONDS:
            stale.append(name.decode())
        else:
            found[name.decode()] = Load(told["unacked"], told["handled"], told.get("oldest_at", {}))
    if stale:
        cache.hdel(KEY, *stale)
    return found


def keep_telling(cache: OptionalCacheSettings, read: Callable[[], Load]) -> threading.Thread:
    """Publish what `read` returns every TELL_SECONDS, from a daemon thread; `read` runs on that thread.

    A missed report is dropped without a log line: readers see that nothing arrives, and the next one follows shortly.
    """
    client = redis.Redis.from_url(cache.client_url, socket_timeout=1, socket_connect_timeout=1)
    process = f"{socket.gethostname()}-{os.getpid()}"

    def run() -> None:
        while True:
            load = read()
            with suppress(redis.RedisError, OSError):  # rates only; whoever reads sees that nothing comes
                tell(client, process, load)
            time.sleep(TELL_SECONDS)

    thread = threading.Thread(target=run, name="load", daemon=True)
    thread.start()
    return thread
