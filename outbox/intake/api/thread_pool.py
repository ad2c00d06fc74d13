"""The API's worker threads: few, with a short queue, so that the webhooks of the same process never starve."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

from outbox.web.problem_codes import ProblemCode
from outbox.web.problem_details import Problem

# Work takes milliseconds; a caller behind a longer queue is better off with a 503 and a retry.
WAITING_PER_THREAD = 16
# Above the database's own timeouts for a statement and a lock (db/session.py), so that those apply first.
WORK_SECONDS = 9.0
_RETRY = {"Retry-After": "1"}

Result = TypeVar("Result")


class ThreadPool:
    """Runs blocking work for the event loop; made once per process, after the fork.

    A place is taken when work is queued and freed when it has ended, also when its caller timed out: work that is still
    running counts, so a slow database fills the queue and later requests fail at once.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="api")
        self._places = BoundedSemaphore(threads * (1 + WAITING_PER_THREAD))

    def close(self) -> None:
        """Wait for running work; queued work is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run `work` on a thread and return its result.

        Raises:
            Problem: 503, at once if the queue is full, or if the work takes too long. Work that has started still
                runs to its end; a retry with the same Idempotency-Key returns its response.
        """
        if not self._places.acquire(blocking=False):
            raise Problem(ProblemCode.OVERLOADED, "too many requests are queued; retry in a second", headers=_RETRY)
        future = self._threads.submit(work)
        future.add_done_callback(lambda _done: self._places.release())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), WORK_SECONDS)
        except TimeoutError:
            detail = "the request timed out; retry with the same Idempotency-Key"
            raise Problem(ProblemCode.REQUEST_TIMEOUT, detail, headers=_RETRY) from None
