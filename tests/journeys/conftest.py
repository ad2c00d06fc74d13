"""One fleet for each module of journeys."""

from collections.abc import Iterator

import pytest

from deploy.local.stack.stack import Stack
from tests.journeys.fleet import Fleet
from tests.journeys.fresh import Fleets, lend


@pytest.fixture(scope="module")
def fleets(stack: Stack, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleets]:
    fleets = Fleets(lambda: Fleet.of(stack, template, tmp_path_factory.mktemp("fleet"), {"SWEEP_AFTER_SECONDS": "0.5"}))
    yield fleets
    fleets.end()


@pytest.fixture
def fleet(fleets: Fleets, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    yield from lend(fleets, request.node)
