"""An optional cache (Valkey) for stored responses and shared rate limits. Callers must work without it.

A command times out after a quarter of a second. After a failure the cache is not used for a few seconds, so that an
outage delays one request and not every one; outage and recovery are logged once each.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import redis
from loguru import logger
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE_SECONDS = 0.25
REST_SECONDS = 5.0

Answer = TypeVar("Answer")


class CacheAwayError(Exception):
    """Valkey failed just now or within the last few seconds."""


class Cache:
    """One pool of connections for all threads of the process.

    The two fields of its state are written without a lock: at worst several threads find an outage at once.
    """

    def __init__(self, address: str, *, connections: int) -> None:
        self.pool = redis.BlockingConnectionPool.from_url(
            address,
            max_connections=connections,
            timeout=PATIENCE_SECONDS,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 1),  # once: a connection that a restart of the server has killed
        )
        self.client = redis.Redis(connection_pool=self.pool)
        self._away = False
        self._rests_until = 0.0

    def close(self) -> None:
        self.pool.disconnect()

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The result of `question`, which uses `client` or `pool`.

        Raises:
            CacheAwayError: Valkey is unavailable; work without it.
        """
        if time.monotonic() < self._rests_until:
            raise CacheAwayError
        try:
            answer = question()
        except redis.RedisError as error:
            self._rests_until = time.monotonic() + REST_SECONDS
            if not self._away:
                logger.warning(
                    "Valkey unavailable ({}): rate limits apply per process, responses are read from the database",
                    type(error).__name__,
                )
            self._away = True
            raise CacheAwayError from None
        if self._away:
            logger.info("Valkey available again: rate limits are shared between processes")
            self._away = False
        return answer
