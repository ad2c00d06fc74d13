"""Valkey, for what is only faster with it: remembered answers and shared counts. Whoever asks must have another way.

It gets a quarter of a second. When it does not answer it is left alone for a few seconds, so that its being away costs
one request its patience and not every one; that is said once, and so is its return.
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
    """Valkey did not answer just now, or has not a moment ago."""


class Cache:
    """One pool of connections for all threads of the process."""

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
        """What the question brings back; it talks to `client`, or to `pool`.

        Raises:
            AwayError: do without.
        """
        if time.monotonic() < self._rests_until:
            raise CacheAwayError
        try:
            answer = question()
        except redis.RedisError as error:
            self._rests_until = time.monotonic() + REST_SECONDS
            if not self._away:
                said = "Valkey is away ({}): rates are counted by this process alone, answers are read from the book"
                logger.warning(said, type(error).__name__)
            self._away = True
            raise CacheAwayError from None
        if self._away:
            logger.info("Valkey is back, rates are counted together again")
            self._away = False
        return answer
