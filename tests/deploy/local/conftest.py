"""A directory of its own for each stack, with nothing taken from the environment the tests run in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import processes
from deploy.local.stack.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack, shared by the tests of one file; each leaves it running."""
    with Stack(tmp_path_factory.mktemp("stack"), outside={}) as running:
        yield running


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory in which a test may start things; whatever it has left is an error."""
    yield tmp_path
    left = processes.marked(tmp_path)
    processes.kill(left)
    assert left == []
