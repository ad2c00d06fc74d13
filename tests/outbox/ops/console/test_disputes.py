"""Disputes in the console: the countdown, the draft, and the two final answers with a second question."""

from typing import Any

import psycopg
import pytest

from db.disputes import disputes
from db.disputes.disputes import Dispute
from db.operators import log as operator_log
from db.session import Database
from tests.outbox.ops.console.scene import Scene


@pytest.fixture
def scene(db: Database, owner: psycopg.Connection, seal: tuple[str, str]) -> Scene:
    return Scene.set(db, owner, seal[0])


def now(db: Database, dispute_id: str) -> Dispute:
    with db.ops_transaction() as tx:
        found = disputes.get(tx, dispute_id)
    assert found is not None
    return found


def queued(owner: psycopg.Connection) -> list[str]:
    return [row[0] for row in owner.execute("SELECT kind FROM outbox WHERE exchange = ''").fetchall()]


def test_the_list_counts_down_and_shows_warnings(as_: Any, scene: Scene) -> None:
    near, far = scene.disputed(hours_left=30.5), scene.disputed(hours_left=24 * 9.5)

    page = as_("rita", "reader").get("/disputes").text

    assert page.index(near) < page.index(far)
    assert "30 h" in page
    assert "10 days" in page or "9 days" in page
    assert "made with stolen card" in page


def test_one_dispute_shows_its_money_its_draft_and_what_is_missing(as_: Any, scene: Scene) -> None:
    dispute_id = scene.disputed()

    page = as_("oda", "operator").get(f"/disputes/{dispute_id}").text

    for piece in ("-42.00 EUR", "15.00 EUR", "event tickets at Great Hall", "were used at the door is not known here"):
        assert piece in page
    assert as_("rita", "reader").get("/disputes/dp_other").status_code == 404


def test_a_reader_sees_the_evidence_and_has_no_form(as_: Any, scene: Scene) -> None:
    rita, dispute_id = as_("rita", "reader"), scene.disputed()

    assert "Submit the evidence" not in rita.get(f"/disputes/{dispute_id}").text
    for path in ("evidence", "decide"):
        assert rita.post(f"/disputes/{dispute_id}/{path}", {"decision": "accept", "reason": "x"}).status_code == 403


def test_the_draft_is_saved_and_collected_again(as_: Any, db: Database, scene: Scene) -> None:
    oda, dispute_id = as_("oda", "operator"), scene.disputed()
    path = f"/disputes/{dispute_id}"

    saved = oda.post(f"{path}/evidence", {"access_activity_log": "scanned at 19:58 <b>"}, onto=path)
    assert (saved.status_code, saved.headers["location"]) == (303, f"{path}?done=drafted")
    assert now(db, dispute_id).evidence == {"access_activity_log": "scanned at 19:58 <b>"}
    assert "&lt;b&gt;" in oda.get(path).text

    oda.post(f"{path}/evidence", {"rebuild": "yes"}, onto=path)
    assert "event tickets" in now(db, dispute_id).evidence["product_description"]


@pytest.mark.parametrize(("decision", "kind"), [("submit", "dispute_evidence"), ("accept", "dispute_close")])
def test_an_answer_is_asked_for_twice_logged_and_queued_once(
    as_: Any, db: Database, owner: psycopg.Connection, scene: Scene, decision: str, kind: str
) -> None:
    oda, dispute_id = as_("oda", "operator"), scene.disputed()
    path, wanted = f"/disputes/{dispute_id}", {"decision": decision, "reason": "scanned at the door"}

    asked = oda.post(f"{path}/decide", wanted, onto=path)
    assert "scanned at the door" in asked.text
    assert (now(db, dispute_id).wish, queued(owner)) == (None, [])

    done = oda.post(f"{path}/decide", wanted | {"confirmed": "yes"}, onto=path)
    again = oda.post(f"{path}/decide", wanted | {"confirmed": "yes"})

    assert (done.status_code, again.status_code) == (303, 409)
    assert (now(db, dispute_id).wish, queued(owner)) == (decision, [kind])
    with db.ops_transaction() as tx:
        [entry] = operator_log.latest(tx, limit=5)
    assert (entry.operator, entry.action, entry.reason) == ("oda", f"{decision} dispute", "scanned at the door")


def test_an_answer_without_a_reason_is_refused(as_: Any, scene: Scene) -> None:
    oda, dispute_id = as_("oda", "operator"), scene.disputed()

    assert oda.post(f"/disputes/{dispute_id}/decide", {"decision": "accept"}).status_code == 409
    assert oda.post(f"/disputes/{dispute_id}/decide", {"decision": "dream", "reason": "x"}).status_code == 422
