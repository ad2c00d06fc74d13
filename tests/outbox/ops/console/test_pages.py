"""Each page answers, shows what is there, and treats what came from outside as text."""

from typing import Any

import psycopg
import pytest

from db.session import Database
from outbox.ops.console.request_context import Services
from tests.outbox.ops.console.scene import Scene


@pytest.fixture
def scene(db: Database, owner: psycopg.Connection, seal: tuple[str, str]) -> Scene:
    return Scene.set(db, owner, seal[0])


def test_every_page_answers_while_nothing_has_happened_yet(as_: Any, services: Services) -> None:
    rita = as_("rita", "reader")

    for path in (
        "/",
        "/live",
        "/dead-letters",
        "/dead-letters/groups",
        "/batches",
        "/approvals",
        "/payments",
        "/disputes",
        "/shares",
        "/payouts",
        "/groups",
        "/mints",
        "/queues",
        "/budget",
        "/budget/live",
        "/reconciliation",
    ):
        assert rita.get(path).status_code == 200, path
    services.sampler.look()
    assert "Settled in the last minute" in rita.get("/").text
    assert "The hash chain is intact" in rita.get("/operator-log").text


def test_every_page_shows_an_ordinary_bad_day(as_: Any, services: Services, scene: Scene) -> None:
    scene.sale(30)
    scene.aftermath()
    letter = scene.dead_charge(with_history=True)
    services.sampler.look()
    rita = as_("rita", "reader")

    overview = rita.get("/").text
    assert "Depth by queue" in overview
    assert "EUR" in overview
    assert "Stripe answered 503" in rita.get("/dead-letters").text
    assert "/dead-letters?group=" in rita.get("/dead-letters/groups").text
    detail = rita.get(f"/dead-letters/{letter}").text
    assert "gateway.py" in detail
    assert "Attempt 3" in detail
    assert "charges" in rita.get("/queues").text


@pytest.mark.parametrize("query", ["text=%00", "text=%ff%fe", "page=x", "page=-3", "older=never", "state=dreaming"])
def test_a_strange_address_is_answered_all_the_same(as_: Any, query: str) -> None:
    assert as_("rita", "reader").get(f"/dead-letters?{query}").status_code == 200


def test_a_payment_is_found_by_every_id_it_has(as_: Any, scene: Scene) -> None:
    payment = scene.requested()
    scene.owner.execute(
        "UPDATE payments SET payment_intent_id = 'pi_found' WHERE payment_id = %s", [payment.payment_id]
    )
    rita = as_("rita", "reader")

    for text in (payment.payment_id, payment.order_id, f" {payment.tenant_id} ", "pi_found"):
        found = rita.get(f"/payments?q={text}")
        assert (found.status_code, found.headers.get("location")) == (303, f"/payments/{payment.payment_id}"), text
    assert "Great Hall" in rita.get(f"/payments/{payment.payment_id}").text
    assert "No payment has this id" in rita.get("/payments?q=pi_other").text


def test_long_lists_come_in_pages(as_: Any, scene: Scene) -> None:
    for number in range(51):
        scene.bury(source="broker", reason=f"number {number}", payload="", original=str(number).encode())
    rita = as_("rita", "reader")

    assert "Page 1 of 2" in rita.get("/dead-letters").text
    assert "number 0<" in rita.get("/dead-letters?state=open&page=2").text


def test_an_unreachable_database_is_an_error_page_and_not_a_crash(as_: Any, services: Services) -> None:
    rita = as_("rita", "reader")
    services.sampler.look()
    services.db.close()

    answer = rita.get("/payments")

    assert answer.status_code == 503
    assert "The database is unreachable" in answer.text
    assert rita.get("/").status_code == 200
