"""When a process that ended is started again, and when that is hopeless. A rule: values in, values out."""

from __future__ import annotations

import signal
from dataclasses import dataclass

QUICK_SECONDS = 10.0  # a process that lived longer did start; what ended it is a new story
QUICK_FAILURES_ALLOWED = 5
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 8.0
EX_CONFIG = 78  # a setting is missing or wrong: the same start will fail again
FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)


@dataclass
class RestartPolicy:
    """Counts the quick failures of one process in a row.

    One that somebody killed tells nothing about its next start, so it is started again soon and not counted: a fault
    test may kill as often as it likes.
    """

    quick_failures: int = 0
    first_delay_seconds: float = FIRST_DELAY_SECONDS

    def delay_seconds(self, exit_code: int, lived_seconds: float) -> float | None:
        """How long to wait before the next start; None when it should not be tried again."""
        if exit_code == EX_CONFIG:
            return None
        if exit_code in FROM_OUTSIDE:
            return self.first_delay_seconds
        self.quick_failures = self.quick_failures + 1 if lived_seconds < QUICK_SECONDS else 1
        if self.quick_failures >= QUICK_FAILURES_ALLOWED:
            return None
        doubled: float = self.first_delay_seconds * 2 ** (self.quick_failures - 1)
        return min(LONGEST_DELAY_SECONDS, doubled)


def describe(exit_code: int) -> str:
    """An exit code in words."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"killed by signal {-exit_code}"
