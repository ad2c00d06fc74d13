"""What a process has in hand and has handled, told to the cache every two seconds, for whoever scales it: workers, and
those who take orders and dead letters from the broker.

The broker tells what is ready and not what is unacked, and a worker that holds the last messages of an empty queue must
not be taken for an idle one. Nothing that safety needs depends on it: without the cache there is no signal, which is
not the same as a signal of zero.
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
    """One process: by queue, deliveries it has not acked, messages it has handled since it started, and, where their
    senders say it, when the oldest that it has in hand came into the world (in seconds since 1970).
    """

    unacked: dict[str, int]
    handled: dict[str, int]
    oldest_at: dict[str, float] = field(default_factory=dict)


def tell(cache: "redis.Redis", process: str, load: Load) -> None:
    """Raises redis.RedisError."""
    told = {"at": time.time(), "unacked": load.unacked, "handled": load.handled, "oldest_at": load.oldest_at}
    cache.hset(KEY, process, orjson.dumps(told).decode())
    cache.expire(KEY, 3_600)


def loads(cache: "redis.Redis") -> dict[str, Load]:
    """Of all processes that told of themselves lately; the others are forgotten. Raises redis.RedisError."""
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
    """Start to tell, from a thread that keeps nobody alive."""
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
