"""`fleet verify --wait`: a fleet that works is looked at again; one that rests, or that stays wrong, is told of."""

import pytest

from deploy import checking
from deploy.report import print_report, wide_console
from workers.verify.report import Report


def _report(*, lost: int = 0, waiting: int = 0) -> Report:
    report = Report()
    report.kinds["payments"].lost = lost
    report.kinds["messages under way"].waiting = waiting
    return report


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "LOOK_AGAIN_SECONDS", 0.0)


def test_it_is_looked_at_until_nothing_is_under_way() -> None:
    seen = iter([_report(lost=3, waiting=5), _report(waiting=2), _report(), _report(lost=1)])

    report = checking.until_at_rest(lambda: next(seen), 60)

    assert (report.clean, report.quiet) == (True, True)
    assert next(seen).totals["lost"] == 1, "nobody looked once more"


def test_without_waiting_one_look_is_told_as_it_is() -> None:
    seen = iter([_report(lost=3, waiting=5), _report()])

    assert checking.until_at_rest(lambda: next(seen), 0).totals["lost"] == 3


@pytest.mark.parametrize(("report", "hinted"), [(_report(lost=3, waiting=5), True), (_report(lost=3), False)])
def test_what_is_named_while_work_is_under_way_is_said_to_be_perhaps_on_its_way(
    capsys: pytest.CaptureFixture[str], report: Report, hinted: bool
) -> None:
    print_report(wide_console(), report)

    assert ("fleet verify --wait" in capsys.readouterr().out) is hinted
