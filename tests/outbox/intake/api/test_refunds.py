"""Refunds, captures and cancellations over the API: what is written down, for whom, and how a refusal is told."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from db.payments.payments import Payment
from db.session import Database
from db.tenants.tenants import Tenant
from tests.outbox.intake.api.conftest import As, captured_payment, held_payment
from tests.outbox.intake.api.test_payments import assert_problem

EUR_21 = {"minor": 2100, "currency": "eur"}


@pytest.fixture
def paid(db: Database, tenant: Tenant) -> Payment:
    """Two tickets of 21.00, captured."""
    return captured_payment(db, tenant)


@pytest.fixture
def held(db: Database, tenant: Tenant) -> Payment:
    """Two tickets of 21.00, authorized."""
    return held_payment(db, tenant)


def test_a_refund_is_written_down_and_queued_once_and_shown(as_: As, owner: psycopg.Connection, paid: Payment) -> None:
    finance, path = as_("finance"), f"/payments/{paid.payment_id}"

    answers = [finance.post(f"{path}/refunds", {"amount": EUR_21}, key="k") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202] * 3
    refund = answers[0].json()["refund"]
    assert (refund["amount"], refund["state"]) == (EUR_21, "requested")
    assert queued(owner) == ["charge", "refund"]
    row = owner.execute("SELECT source, requested_by, reason FROM refunds").fetchall()
    assert row == [("api", "api:fiona", "requested_by_customer")]
    shown = finance.get(path).json()
    assert shown["captured"] == {"minor": 4200, "currency": "eur"}
    assert shown["refunded"] == EUR_21
    assert [each["refund_id"] for each in shown["refunds"]] == [refund["refund_id"]]


def test_without_a_body_all_that_is_left_comes_back(as_: As, paid: Payment) -> None:
    finance, path = as_("finance"), f"/payments/{paid.payment_id}/refunds"
    finance.post(path, {"amount": EUR_21})

    left = finance.client.post(path, headers={"Authorization": f"Bearer {finance.token}", "Idempotency-Key": "k"})

    assert left.json()["refund"]["amount"] == EUR_21
    assert_problem(finance.post(path), 409, "already-refunded")


def test_fifty_parallel_refunds_never_give_back_more_than_was_captured(
    as_: As, owner: psycopg.Connection, paid: Payment
) -> None:
    finance, path = as_("finance"), f"/payments/{paid.payment_id}/refunds"

    with ThreadPoolExecutor(50) as pool:
        body = {"amount": {"minor": 1000, "currency": "eur"}}
        answers = list(pool.map(lambda _: finance.post(path, body), range(50)))

    assert Counter(answer.status_code for answer in answers) == {202: 4, 422: 46}
    assert owner.execute("SELECT sum(amount_minor) FROM refunds").fetchone() == (4000,)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"amount": {"minor": 4201, "currency": "eur"}}, 422, "amount-exceeds-captured"),
        ({"amount": {"minor": 100, "currency": "usd"}}, 422, "wrong-currency"),
        ({"ticket_ids": ["01a2066c-d866-75d2-acea-a1254c0933ad"]}, 422, "unknown-ticket"),
        ({"amount": EUR_21, "ticket_ids": ["01a2066c-d866-75d2-acea-a1254c0933ad"]}, 422, "body-invalid"),
        ({"amount": {"minor": 0, "currency": "eur"}}, 422, "body-invalid"),
        ({"reason": "because"}, 422, "body-invalid"),
    ],
)
def test_a_refund_that_cannot_be_is_told_why(
    as_: As, owner: psycopg.Connection, paid: Payment, body: dict[str, Any], status: int, code: str
) -> None:
    assert_problem(as_("finance").post(f"/payments/{paid.payment_id}/refunds", body), status, code)
    assert queued(owner) == ["charge"]


def test_the_same_key_with_another_amount_is_no_second_refund(
    as_: As, owner: psycopg.Connection, paid: Payment
) -> None:
    finance, path = as_("finance"), f"/payments/{paid.payment_id}/refunds"
    finance.post(path, {"amount": EUR_21}, key="k")

    assert_problem(
        finance.post(path, {"amount": {"minor": 1, "currency": "eur"}}, key="k"), 422, "idempotency-key-reused"
    )
    assert owner.execute("SELECT amount_minor FROM refunds").fetchall() == [(2100,)]


def test_the_same_refund_under_its_key_is_one_even_when_the_answer_is_forgotten(
    as_: As, owner: psycopg.Connection, paid: Payment, valkey: Any
) -> None:
    finance, path = as_("finance"), f"/payments/{paid.payment_id}/refunds"
    first = finance.post(path, {"amount": EUR_21}, key="k")
    owner.execute("DELETE FROM api_requests")
    valkey.flushall()

    again = finance.post(path, {"amount": EUR_21}, key="k")

    assert again.json()["refund"]["refund_id"] == first.json()["refund"]["refund_id"]
    assert owner.execute("SELECT count(*) FROM refunds").fetchone() == (1,)


def test_a_payment_that_is_not_captured_is_called_off_instead(
    as_: As, owner: psycopg.Connection, held: Payment
) -> None:
    answer = as_("finance").post(f"/payments/{held.payment_id}/refunds")

    assert answer.json() == {"payment_id": str(held.payment_id), "refund": None, "canceling": True}
    assert queued(owner) == ["cancel", "charge"]


def test_a_held_amount_is_captured_or_called_off(as_: As, owner: psycopg.Connection, held: Payment) -> None:
    staff, path = as_("venue_staff"), f"/payments/{held.payment_id}"

    assert staff.post(f"{path}/capture", {"amount": EUR_21}).status_code == 202
    assert_problem(staff.post(f"{path}/capture", {"amount": {"minor": 1, "currency": "eur"}}), 409)
    assert_problem(staff.post(f"{path}/capture", {"amount": {"minor": 9999, "currency": "eur"}}), 422)
    assert staff.post(f"{path}/cancel", {"reason": "order_cancelled"}).status_code == 202

    assert queued(owner) == ["cancel", "capture", "charge"]
    wishes = owner.execute("SELECT capture_requested_minor, cancel_reason, cancel_requested_by FROM payments")
    assert wishes.fetchall() == [(2100, "order_cancelled", "api:fiona")]


def test_what_was_taken_cannot_be_called_off_or_captured(as_: As, owner: psycopg.Connection, paid: Payment) -> None:
    staff = as_("venue_staff")

    assert_problem(staff.post(f"/payments/{paid.payment_id}/cancel"), 409, "already-captured")
    assert_problem(staff.post(f"/payments/{paid.payment_id}/capture"), 409, "payment-not-authorized")
    assert queued(owner) == ["charge"]


def test_refunds_have_a_window_of_their_own(as_: As, make_api: Any, paid: Payment) -> None:
    finance = as_("finance", through=make_api(api_refunds_per_minute=1))
    path = f"/payments/{paid.payment_id}/refunds"

    assert [finance.post(path, {"amount": EUR_21}).status_code for _ in range(2)] == [202, 429]


@pytest.mark.parametrize("operation", ["refunds", "capture", "cancel"])
def test_money_is_moved_by_those_who_may_and_reach_the_venue(
    as_: As, owner: psycopg.Connection, paid: Payment, neighbour: Tenant, operation: str
) -> None:
    path = f"/payments/{paid.payment_id}/{operation}"

    assert_problem(as_("buyer", sub="buyer-1").post(path), 403, "insufficient-permissions")
    assert_problem(as_("buyer", "finance", sub="buyer-1", venues=[]).post(path), 404, "payment-not-found")
    assert_problem(as_("finance", of=neighbour).post(path), 404, "payment-not-found")
    assert queued(owner) == ["charge"]


def queued(owner: psycopg.Connection) -> list[str]:
    return [kind for (kind,) in owner.execute("SELECT kind FROM outbox ORDER BY kind").fetchall()]
