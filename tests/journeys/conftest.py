"""One fleet for each module of journeys."""

from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack
from tests.journeys.fleet import Fleet


@pytest.fixture(scope="module")
def fleet(stack: Stack, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet.of(stack, template, tmp_path_factory.mktemp("fleet"), {"SWEEP_AFTER_SECONDS": "0.5"}) as running:
        yield running
