"""A running fleet for each test: shared with the test before it, unless that one failed.

Every test here ends with a fleet at rest and a clean book. One that failed leaves work which may never come to rest, a
server that is down, a process that was not started again; the next test then gets a fleet of its own with an empty
book, so that one failure is told once.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest

from tests.journeys.fleet import Fleet
from tests.outcomes import has_failed


class Fleets:
    """At most one runs at a time; `running` starts it when there is none."""

    def __init__(self, start: Callable[[], AbstractContextManager[Fleet]]) -> None:
        self._start = start
        self._open = ExitStack()
        self._fleet: Fleet | None = None

    def running(self) -> Fleet:
        if self._fleet is None:
            self._fleet = self._open.enter_context(self._start())
        return self._fleet

    def end(self) -> None:
        self._fleet = None
        self._open.close()


def lend(fleets: Fleets, test: pytest.Item) -> Iterator[Fleet]:
    """The body of a fixture: what the test has armed is disarmed; a fleet in which a test failed is ended."""
    fleet = fleets.running()
    try:
        yield fleet
        if not has_failed(test):
            fleet.heal()
    except BaseException:
        fleets.end()
        raise
    if has_failed(test):
        fleets.end()
