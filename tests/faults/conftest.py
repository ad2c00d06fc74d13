"""One fleet for each module of faults, impatient: what takes minutes in production takes seconds here."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.local.stack.stack import Stack
from tests.journeys.fleet import Fleet
from tests.journeys.fresh import Fleets, lend

IMPATIENT = {"SWEEP_AFTER_SECONDS": "0.5", "STRIPE_READ_TIMEOUT_SECONDS": "1", "EVENT_SWEEP_SETTLE_SECONDS": "1"}


@pytest.fixture(scope="module")
def database_port(stack: Stack) -> int:
    """Where the fleet reaches the database; a module may lead it over a wire."""
    return stack.postgres.port


@pytest.fixture(scope="module")
def fleets(
    stack: Stack, template: str, database_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleets]:
    @contextmanager
    def whole() -> Iterator[Fleet]:
        """One order proves that everything has started, so that the first fault hits a whole fleet."""
        with Fleet.of(stack, template, tmp_path_factory.mktemp("fleet"), IMPATIENT, database_port) as running:
            running.publish(running.order())
            running.wait_until_quiet()
            yield running

    fleets = Fleets(whole)
    yield fleets
    fleets.end()


@pytest.fixture
def fleet(fleets: Fleets, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    yield from lend(fleets, request.node)
