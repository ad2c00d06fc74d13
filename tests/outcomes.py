"""How the test that a fixture serves has ended; tests/conftest.py writes it down before the fixtures are torn down."""

import pytest

_FAILED = pytest.StashKey[bool]()


def write_down(test: pytest.Item, report: pytest.TestReport) -> None:
    test.stash[_FAILED] = test.stash.get(_FAILED, False) or report.failed


def has_failed(test: pytest.Item) -> bool:
    return test.stash.get(_FAILED, False)
