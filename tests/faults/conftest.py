"""One fleet for each module of faults, impatient: what takes minutes in production takes seconds here."""

from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack
from tests.journeys.fleet import Fleet

IMPATIENT = {"SWEEP_AFTER_SECONDS": "0.5", "STRIPE_READ_TIMEOUT_SECONDS": "1"}


@pytest.fixture(scope="module")
def fleet(stack: Stack, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet.of(stack, template, tmp_path_factory.mktemp("fleet"), IMPATIENT) as running:
        running.publish(
            running.order()
        )  # proves that everything has started, so that the first fault hits a whole fleet
        running.wait_until_quiet()
        yield running


@pytest.fixture(autouse=True)
def no_fault_outlives_its_test(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    fleet: Fleet = request.getfixturevalue("fleet")
    fleet.disarm()
    fleet.control.clear_faults()
    fleet.control.set_clock()
