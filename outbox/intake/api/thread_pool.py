"""The threads that the API works on: few, with a short queue before them, so that webhooks beside it never starve."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

from outbox.web.problem_details import Problem

# Work takes milliseconds; whoever would wait behind so many others is better told to come back.
WAITING_PER_THREAD = 16
# Above the database's own limits for a statement and a lock (db/session.py), so that these speak first.
WORK_SECONDS = 9.0

Result = TypeVar("Result")


class ThreadPool:
    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="api")
        self._places = BoundedSemaphore(threads * (1 + WAITING_PER_THREAD))

    def close(self) -> None:
        """Waits for what has begun; what only waits is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do it on a thread.

        Raises:
            Problem: 503 at once when too many wait already, or when it takes too long. Work that had begun then goes
                on to its end; its Idempotency-Key brings the answer.
        """
        if not self._places.acquire(blocking=False):
            raise _busy("too many requests wait already; come back in a second")
        future = self._threads.submit(work)
        future.add_done_callback(lambda _done: self._places.release())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), WORK_SECONDS)
        except TimeoutError:
            raise _busy("it takes too long just now; repeat it with the same Idempotency-Key") from None


def _busy(said: str) -> Problem:
    return Problem(503, said, code="busy", headers={"Retry-After": "1"})
