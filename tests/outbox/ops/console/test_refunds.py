"""The page of refunds: what waits, what is owed, cancelled events; trying again, approving and steering them."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from db.refunds import mass_refunds
from db.session import Database
from outbox.requests.mass_refunds import cancel_event
from tests.outbox.ops.console.refund_scene import refunded
from tests.outbox.ops.console.scene import Scene


@pytest.fixture
def scene(db: Database, owner: psycopg.Connection, seal: tuple[str, str]) -> Scene:
    return Scene.set(db, owner, seal[0])


def test_what_waits_and_what_is_owed_is_shown_with_its_age_and_filtered_by_state(as_: Any, scene: Scene) -> None:
    failed = refunded(scene, "failed", days_ago=4)
    pending = refunded(scene, "pending")
    refunded(scene, "succeeded")
    rita = as_("rita", "reader")

    page, only_pending = rita.get("/refunds").text, rita.get("/refunds?state=pending").text

    assert "4 days ago" in page
    assert "expired or canceled card" in page
    assert f"/payments/{failed.payment_id}" in page
    assert f"/payments/{pending.payment_id}" in only_pending
    assert "Retry" not in page  # a reader decides nothing


def test_an_operator_retries_a_failed_refund_once(as_: Any, scene: Scene, owner: psycopg.Connection) -> None:
    refunded(scene, "failed")
    (refund_id,) = owner.execute("SELECT refund_id FROM refunds").fetchone()  # type: ignore[misc]
    oda, rita = as_("oda", "operator"), as_("rita", "reader")

    refused = rita.post(f"/refunds/{refund_id}/retry", {"reason": "new card"})
    asked = oda.post(f"/refunds/{refund_id}/retry", {"reason": "new card"}, onto="/refunds")
    again = oda.post(f"/refunds/{refund_id}/retry", {"reason": "new card"})

    assert (refused.status_code, asked.status_code, again.status_code) == (403, 303, 409)
    assert owner.execute("SELECT state, note, retry_of FROM operator_requests").fetchall() == [
        ("asked", "new card", refund_id)
    ]
    assert owner.execute("SELECT count(*) FROM outbox WHERE kind = 'ops_refund'").fetchone() == (1,)
    assert "Refund requested" in oda.get(asked.headers["location"]).text


def test_a_large_refund_is_approved_by_somebody_else(as_: Any, scene: Scene, owner: psycopg.Connection) -> None:
    refunded(scene, "failed", amount_minor=20_000)
    (refund_id,) = owner.execute("SELECT refund_id FROM refunds").fetchone()  # type: ignore[misc]
    oda, ada = as_("oda", "operator", "approver"), as_("ada", "approver")
    oda.post(f"/refunds/{refund_id}/retry", {"reason": "new card"})
    (request_id,) = owner.execute("SELECT request_id FROM operator_requests").fetchone()  # type: ignore[misc]

    own = oda.post(f"/refunds/approvals/{request_id}")
    page, waiting = ada.get("/refunds").text, ada.get("/approvals").text
    other = ada.post(f"/refunds/approvals/{request_id}", onto="/refunds")

    assert (own.status_code, other.status_code) == (409, 303)
    assert "Approve this refund" in page
    assert "200.00 EUR" in waiting
    assert owner.execute("SELECT state, approved_by FROM operator_requests").fetchone() == ("asked", "ada")


def test_a_cancelled_event_is_followed_paused_resumed_and_stopped(as_: Any, scene: Scene) -> None:
    run = cancelled(scene)
    oda = as_("oda", "operator")

    states = []
    for decision in ("pause", "resume", "stop"):
        done = oda.post(f"/refunds/events/{run}/{decision}", {"reason": "why not", "rate": "7"})
        assert done.status_code == 303, done.text
        with scene.db.ops_transaction() as tx:
            (stood,) = mass_refunds.latest(tx, limit=2)
        states.append((stood.state, stood.rate_per_second))

    assert states == [("paused", 20), ("running", 7), ("canceled", 7)]
    assert "0 of 1 orders processed" in oda.get(f"/refunds/events/{run}/live").text
    assert oda.get(f"/refunds/events/{uuid4()}").status_code == 404
    assert oda.post(f"/refunds/events/{run}/pause", {"reason": "late"}).status_code == 409


def cancelled(scene: Scene) -> UUID:
    event_id = uuid4()
    scene.requested(event_id=str(event_id))
    tenant = scene.tenants[0]
    with scene.db.transaction(tenant.tenant_id) as tx:
        run, _ = cancel_event(tx, tenant.tenant_id, event_id, note="storm", by="intake")
    return run.cancellation_id
