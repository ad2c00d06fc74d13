"""Each action of a page is carried out, and the operator log records by whom and why."""

import json
from typing import Any
from uuid import UUID

import psycopg
import pytest

from db.dead_letters import replay_batches
from db.dead_letters import views as dead_letter_views
from db.dead_letters.views import DeadLetterFilter
from db.operators import log as operator_log
from db.session import Database
from tests.outbox.ops.console.scene import Scene
from tests.outbox.ops.console.test_looks import classify


@pytest.fixture
def scene(db: Database, owner: psycopg.Connection, seal: tuple[str, str]) -> Scene:
    return Scene.set(db, owner, seal[0])


def logged(db: Database) -> list[tuple[str, str, str]]:
    with db.ops_transaction() as tx:
        return [(entry.operator, entry.action, entry.reason) for entry in operator_log.latest(tx, limit=20)][::-1]


def state_of(db: Database, dead_letter: UUID) -> str:
    with db.ops_transaction() as tx:
        found = dead_letter_views.detail(tx, dead_letter)
    assert found is not None
    return found.letter.state


def batch_of(location: str) -> UUID:
    return UUID(location.removeprefix("/batches/").partition("?")[0])


def test_selected_dead_letters_become_a_batch_that_a_worker_classifies(
    as_: Any, db: Database, scene: Scene, owner: psycopg.Connection
) -> None:
    selected, other = scene.dead_charge(), scene.dead_charge()
    oda = as_("oda", "operator")

    answer = oda.post(
        "/dead-letters/preview",
        {
            "scope": "selected",
            "dead_letter": [str(selected)],
            "reason": "Stripe is back",
            "rate": "5",
            "target_queue": "charges",
        },
        onto=f"/dead-letters/{other}",
    )

    assert answer.status_code == 303
    batch_id = batch_of(answer.headers["location"])
    with db.ops_transaction() as tx:
        batch = replay_batches.get(tx, batch_id)
        assert [item.dead_letter_id for item in replay_batches.items(tx, batch_id)] == [selected]
    assert batch is not None
    assert (batch.state, batch.rate_per_second, batch.target_queue) == ("classifying", 5, "charges")
    assert logged(db) == [("oda", "redirect", "Stripe is back")]
    assert owner.execute("SELECT count(*) FROM outbox WHERE kind = 'classify'").fetchone() == (1,)
    assert "Classifying against the current state: 0 of 1" in oda.get(f"/batches/{batch_id}").text


def test_a_filter_selects_all_open_dead_letters_that_match_and_no_other(as_: Any, db: Database, scene: Scene) -> None:
    scene.aftermath()
    oda = as_("oda", "operator")

    fields = {"scope": "filter", "cause": "refused", "state": "all", "reason": "fixed"}
    answer = oda.post("/dead-letters/preview", fields, onto=f"/dead-letters/{scene.dead_charge()}")

    with db.ops_transaction() as tx:
        assert replay_batches.progress(tx, batch_of(answer.headers["location"])).total == 5


def test_a_batch_is_started_runs_and_can_be_cancelled(as_: Any, db: Database, scene: Scene) -> None:
    scene.dead_charge()
    oda = as_("oda", "operator")
    batch_id = batch_of(
        oda.post("/dead-letters/preview", {"scope": "filter", "reason": "back"}, onto=dead_letter_page(db)).headers[
            "location"
        ]
    )
    classify(db, batch_id)
    page = f"/batches/{batch_id}"
    assert "Start the replay" in oda.get(page).text

    assert oda.post(f"{page}/start", onto=page).headers["location"] == f"{page}?done=started"
    assert "0 of 1 finished" in oda.get(f"{page}?done=started").text
    assert 'hx-trigger="every 1s"' in oda.get(f"{page}/live").text
    oda.post(f"{page}/cancel", {"reason": "not yet"}, onto=page)

    assert [entry[1:] for entry in logged(db)] == [("preview", "back"), ("start", "back"), ("cancel", "not yet")]
    assert oda.get(f"{page}/live").headers["hx-redirect"] == page


def test_a_batch_above_the_limit_waits_for_a_second_operator(as_: Any, db: Database, scene: Scene) -> None:
    for _ in range(3):
        scene.dead_charge()
    both, ada = as_("oda", "operator", "approver"), as_("ada", "approver")
    batch_id = batch_of(
        both.post("/dead-letters/preview", {"scope": "filter", "reason": "back"}, onto=dead_letter_page(db)).headers[
            "location"
        ]
    )
    classify(db, batch_id)
    page = f"/batches/{batch_id}"

    assert both.post(f"{page}/start", onto=page).headers["location"] == f"{page}?done=awaits_approval"
    assert "you cannot approve your own batch" in both.get("/approvals").text
    refused = both.post(f"{page}/approve", onto=page)
    assert refused.status_code == 409
    assert "A second operator must approve this" in refused.text
    assert "126.00 EUR" in ada.get("/approvals").text
    assert ada.post(f"{page}/approve", onto="/approvals").status_code == 303

    with db.ops_transaction() as tx:
        batch = replay_batches.get(tx, batch_id)
    assert batch is not None
    assert (batch.state, batch.started_by, batch.approved_by) == ("running", "oda", "ada")


def test_discarding_asks_once_more_and_needs_a_reason(as_: Any, db: Database, scene: Scene) -> None:
    dead_letter = scene.dead_charge()
    oda = as_("oda", "operator")
    page = f"/dead-letters/{dead_letter}"

    assert (
        oda.post("/dead-letters/discard", {"dead_letter": str(dead_letter), "reason": ""}, onto=page).status_code == 409
    )
    asked = oda.post("/dead-letters/discard", {"dead_letter": str(dead_letter), "reason": "a test order"}, onto=page)
    assert "Discard 1 dead letter?" in asked.text
    assert state_of(db, dead_letter) == "open"
    fields = {"dead_letter": str(dead_letter), "reason": "a test order", "confirmed": "yes"}
    oda.post("/dead-letters/discard", fields, onto=page)

    assert state_of(db, dead_letter) == "discarded"
    assert logged(db) == [("oda", "discard", "a test order")]


def test_an_edited_payload_makes_a_successor_that_its_model_accepts(as_: Any, db: Database, scene: Scene) -> None:
    dead_letter, other = scene.dead_charge(), scene.requested()
    oda = as_("oda", "operator")
    page = f"/dead-letters/{dead_letter}/edit"
    good = {"tenant_id": str(other.tenant_id), "payment_id": str(other.payment_id)}

    for bad in ("{", "[]", json.dumps(good | {"payment_id": "17"}), json.dumps(good | {"extra": 1})):
        refused = oda.post(page, {"payload": bad, "reason": "wrong payment"}, onto=page)
        assert refused.status_code == 422, bad
        assert 'role="alert"' in refused.text
    assert state_of(db, dead_letter) == "open"
    answer = oda.post(page, {"payload": json.dumps(good), "reason": "wrong payment"}, onto=page)

    successor = answer.headers["location"].partition("?")[0]
    assert str(dead_letter) in oda.get(successor).text
    assert successor in oda.get(f"/dead-letters/{dead_letter}").text
    assert state_of(db, dead_letter) == "discarded"
    assert logged(db) == [("oda", "edit", "wrong payment")]


def test_an_empty_selection_and_an_invalid_id_are_refused_with_a_sentence(as_: Any, db: Database, scene: Scene) -> None:
    scene.dead_charge()
    oda = as_("oda", "operator")

    nothing = oda.post("/dead-letters/preview", {"scope": "selected", "reason": "x"}, onto=dead_letter_page(db))
    assert (nothing.status_code, "No dead letter was selected" in nothing.text) == (422, True)
    assert oda.get("/dead-letters?payment=17").status_code == 422
    assert oda.get("/dead-letters/01a2066c-d866-75d2-acea-a1254c0933ad").status_code == 404


def test_a_broken_hash_chain_is_reported(as_: Any, db: Database, scene: Scene, owner: psycopg.Connection) -> None:
    dead_letter = scene.dead_charge()
    oda = as_("oda", "operator")
    oda.post(
        "/dead-letters/discard",
        {"dead_letter": str(dead_letter), "reason": "x", "confirmed": "yes"},
        onto=dead_letter_page(db),
    )
    owner.execute("ALTER TABLE operator_log DISABLE TRIGGER the_operator_log_is_append_only")
    owner.execute("UPDATE operator_log SET operator = 'nobody'")

    assert "The hash chain is broken at entry 1" in oda.get("/operator-log").text


def dead_letter_page(db: Database) -> str:
    with db.ops_transaction() as tx:
        return f"/dead-letters/{dead_letter_views.find(tx, DeadLetterFilter(), limit=1)[0].dead_letter_id}"
