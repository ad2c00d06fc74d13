"""The page of reconciliation: what is open, how to close it, and who may."""

from typing import Any

import psycopg
import pytest

from db.operators import log as operator_log
from db.reconciliation import case_views, cases
from db.reconciliation.cases import CaseType
from db.session import Database
from tests.outbox.ops.console.scene import Scene

EVIL = "<script>alert(1)</script>{{ 7*7 }}"


@pytest.fixture
def scene(db: Database, owner: psycopg.Connection, seal: tuple[str, str]) -> Scene:
    return Scene.set(db, owner, seal[0])


def test_without_cases_the_page_says_that_everything_has_its_journal(as_: Any) -> None:
    page = as_("rita", "reader").get("/reconciliation").text

    assert "every balance transaction at Stripe has its journal" in page
    assert "No comparison has run yet" in page
    assert "never swept" in page


def test_cases_runs_coverage_and_trial_balance_are_on_one_page(as_: Any, scene: Scene) -> None:
    scene.differences()

    page = as_("rita", "reader").get("/reconciliation").text

    for words in ("the ledger has 40.46 EUR", "411", "venue payable", "rolling", "zero"):
        assert words in page, words


def test_cases_are_filtered_by_state_and_type(as_: Any, scene: Scene) -> None:
    scene.differences()
    rita = as_("rita", "reader")

    assert "txn_3QdoorSale" not in rita.get("/reconciliation?type=refund_failed").text
    assert "No cases match" in rita.get("/reconciliation?state=closed").text
    assert rita.get("/reconciliation?state=dreaming&type=%00").status_code == 200


def test_an_operator_accepts_a_case_with_a_reason_and_the_log_says_so(as_: Any, db: Database, scene: Scene) -> None:
    case = scene.differences()
    oda = as_("oda", "operator")
    path = f"/reconciliation/cases/{case}"

    assert oda.post(f"{path}/close", {"reason": " "}, onto=path).status_code == 409
    assert oda.post(f"{path}/close", {"reason": "booked by hand"}, onto=path).status_code == 303

    assert "Accept the difference" not in oda.get(path).text
    assert "booked by hand" in oda.get(path).text
    assert str(case) in oda.get("/operator-log").text
    with db.ops_transaction() as tx:
        assert operator_log.latest(tx, limit=1)[0].operator == "oda"
        assert len(case_views.find(tx)) == 2


def test_a_reader_sees_a_case_and_cannot_close_it(as_: Any, db: Database, scene: Scene) -> None:
    case = scene.differences()
    rita = as_("rita", "reader")

    assert "Close the case" not in rita.get(f"/reconciliation/cases/{case}").text
    assert rita.post(f"/reconciliation/cases/{case}/close", {"reason": "because"}).status_code == 403
    assert as_("oda", "operator").get("/reconciliation/cases/019aa5b0-0c00-7a3e-9f1d-5b8c2f6e0a11").status_code == 404


def test_what_a_case_says_stays_text(as_: Any, db: Database) -> None:
    with db.system_transaction() as tx:
        cases.open_case(tx, type=CaseType.EVENT_UNMATCHED, subject=EVIL, details=EVIL)
        case = case_views.find(tx)[0].case_id
    rita = as_("rita", "reader")

    for path in ("/reconciliation", f"/reconciliation/cases/{case}"):
        page = rita.get(path).text
        assert "<script>alert" not in page
        assert "{{ 7*7 }}" in page
