"""The page of shares: what escrow holds and why, what waits, the tree of a payment; releasing, holding, approving."""

from typing import Any

import psycopg
import pytest

from db.session import Database
from tests.outbox.ops.console.scene import Scene
from tests.outbox.ops.console.share_scene import cut, on_its_way


@pytest.fixture
def scene(db: Database, owner: psycopg.Connection, seal: tuple[str, str]) -> Scene:
    return Scene.set(db, owner, seal[0])


def test_what_is_held_and_what_waits_is_shown_with_its_reason(as_: Any, scene: Scene) -> None:
    soon, never = cut(scene, ends_in_days=2), cut(scene, ends_in_days=None)
    waiting = on_its_way(scene)
    rita = as_("rita", "reader")

    page, only_unknown = rita.get("/shares").text, rita.get("/shares?kept_by=unknown_end").text

    assert f"/shares/payments/{soon.payment_id}" in page
    assert f"/shares/payments/{waiting.payment_id}" in page
    assert "account" in page
    assert "Release or hold" not in page  # a reader decides nothing
    held = only_unknown.partition("Released, transfer pending")[0]
    assert f"/shares/payments/{never.payment_id}" in held
    assert f"/shares/payments/{soon.payment_id}" not in held


def test_the_tree_of_a_payment_shows_shares_movements_and_tickets(as_: Any, scene: Scene) -> None:
    payment = on_its_way(scene)
    rita = as_("rita", "reader")

    page = rita.get(f"/shares/payments/{payment.payment_id}").text

    assert "The Very Long-Named Band" in page
    assert "10 %" in page
    assert "87.40 EUR" in page  # 99.99 less 2.60 platform fee and 9.99 for the band
    assert "By ticket" in page
    assert f'href="/shares/payments/{payment.payment_id}"' in rita.get(f"/payments/{payment.payment_id}").text
    assert rita.get(f"/shares/payments/{payment.tenant_id}").status_code == 404


def test_an_operator_asks_once_and_a_reader_never(as_: Any, scene: Scene, owner: psycopg.Connection) -> None:
    payment = cut(scene, ends_in_days=2)
    path, why = f"/shares/payments/{payment.payment_id}/release", {"reason": "paid ahead"}
    oda, rita = as_("oda", "operator"), as_("rita", "reader")

    refused = rita.post(path, why)
    asked = oda.post(path, why, onto="/shares")
    again = oda.post(path, why)
    unsaid = oda.post(f"/shares/payments/{payment.payment_id}/hold", {"reason": " "})

    assert (refused.status_code, asked.status_code, again.status_code, unsaid.status_code) == (403, 303, 409, 409)
    rows = owner.execute("SELECT kind, state, note, amount_minor FROM operator_requests").fetchall()
    assert rows == [("release", "asked", "paid ahead", 3_940)]
    assert owner.execute("SELECT count(*) FROM outbox WHERE kind = 'ops_escrow'").fetchone() == (1,)
    assert "A worker is processing it" in oda.get(asked.headers["location"]).text


def test_a_large_release_is_approved_by_somebody_else(as_: Any, scene: Scene, owner: psycopg.Connection) -> None:
    payment = cut(scene, ends_in_days=2, amount_minor=20_000)
    oda, ada = as_("oda", "operator", "approver"), as_("ada", "approver")
    asked = oda.post(f"/shares/payments/{payment.payment_id}/release", {"reason": "paid ahead"})
    (wish,) = owner.execute("SELECT request_id FROM operator_requests").fetchone()  # type: ignore[misc]

    waiting = ada.get("/approvals").text
    by_myself = oda.post(f"/shares/wishes/{wish}/approve", {})
    by_another = ada.post(f"/shares/wishes/{wish}/approve", {}, onto="/shares")

    assert "done=release_awaits_approval" in asked.headers["location"]
    assert (by_myself.status_code, by_another.status_code) == (409, 303)
    assert "Release of" in waiting
    assert "Nothing is waiting for approval" in ada.get("/approvals").text
    assert owner.execute("SELECT state, approved_by FROM operator_requests").fetchall() == [("asked", "ada")]


def test_a_release_that_waits_is_withdrawn(as_: Any, scene: Scene, owner: psycopg.Connection) -> None:
    payment = cut(scene, ends_in_days=2, amount_minor=20_000)
    oda = as_("oda", "operator")
    oda.post(f"/shares/payments/{payment.payment_id}/release", {"reason": "paid ahead"})
    (wish,) = owner.execute("SELECT request_id FROM operator_requests").fetchone()  # type: ignore[misc]

    oda.post(f"/shares/wishes/{wish}/withdraw", {"reason": "a mistake"}, onto="/shares")

    assert owner.execute("SELECT state, state_reason FROM operator_requests").fetchall() == [("withdrawn", "a mistake")]
