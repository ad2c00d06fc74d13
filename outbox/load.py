"""What every worker process has in hand and has handled, told to the cache every two seconds, for whoever scales them.

The broker tells what is ready and not what is unacked, and a worker that holds the last messages of an empty queue must
not be taken for an idle one. Nothing that safety needs depends on it: without the cache there is no signal, which is
not the same as a signal of zero.
"""

import time
from dataclasses import dataclass

import orjson
import redis

KEY = "fleet:load"
TELL_SECONDS = 2.0
STALE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Load:
    """One process: by queue, deliveries it has not acked, and messages it has handled since it started."""

    unacked: dict[str, int]
    handled: dict[str, int]


def tell(cache: "redis.Redis", process: str, load: Load) -> None:
    """Raises redis.RedisError."""
    told = {"at": time.time(), "unacked": load.unacked, "handled": load.handled}
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
            found[name.decode()] = Load(told["unacked"], told["handled"])
    if stale:
        cache.hdel(KEY, *stale)
    return found
