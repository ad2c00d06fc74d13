"""Waiting for something to come true, and failing when it does not."""

import time
from collections.abc import Callable


def until(true: Callable[[], object], *, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"it did not come true within {seconds} s"
        time.sleep(0.02)
