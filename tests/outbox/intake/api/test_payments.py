"""What each operation does, for whom, and what it answers."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from httpx import Response
from starlette.testclient import TestClient

from db.payments import payments
from db.payments.payments import PaymentAttempt
from db.session import Database
from db.tenants.tenants import Tenant
from messages.queues import LARGEST_ORDER_BYTES
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from tests import factories
from tests.outbox.intake.api.conftest import As, order


def test_an_order_becomes_a_payment_and_its_charge_message(as_: As, owner: psycopg.Connection, tenant: Tenant) -> None:
    body = order(tenant, amount_minor=4200)

    answer = as_("venue_staff").post("/payments", body)

    assert answer.status_code == 202
    said = answer.json()
    assert said == {"payment_id": said["payment_id"], "order_id": body["order_id"], "state": "requested"}
    assert answer.headers["location"] == f"/payments/{said['payment_id']}"
    rows = owner.execute("SELECT payment_id::text, amount_minor, buyer_id, state, state_by FROM payments").fetchall()
    assert rows == [(said["payment_id"], 4200, "buyer-1", "requested", "api:fiona")]
    assert owner.execute("SELECT kind, routing_key FROM outbox").fetchall() == [("charge", "charges")]


def test_the_same_order_under_another_key_is_the_same_payment(
    as_: As, owner: psycopg.Connection, tenant: Tenant
) -> None:
    body = order(tenant)

    first, second = (as_("venue_staff").post("/payments", body) for _ in range(2))

    assert first.json()["payment_id"] == second.json()["payment_id"]
    assert count(owner, "payments") == count(owner, "outbox") == 1


def test_the_same_order_id_with_another_body_is_a_conflict_and_the_first_stands(
    as_: As, owner: psycopg.Connection, tenant: Tenant
) -> None:
    body = order(tenant, amount_minor=4200)
    as_("venue_staff").post("/payments", body)

    answer = as_("venue_staff").post("/payments", order(tenant, amount_minor=99, order_id=body["order_id"]))

    assert_problem(answer, 409, "order-conflict")
    assert owner.execute("SELECT amount_minor FROM payments").fetchall() == [(4200,)]


def test_an_order_that_came_as_an_event_is_contradicted_by_one_of_the_api(
    as_: As, db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    data = factories.order(tenant)
    assert accept(db, [IncomingEvent(factories.event(data))]) == [OrderOutcome.ACCEPTED]

    answer = as_("venue_staff").post("/payments", order(tenant, order_id=data["order_id"]))

    assert_problem(answer, 409, "order-conflict")
    assert count(owner, "payments") == 1


def test_a_buyer_pays_for_itself_and_for_nobody_else(as_: As, owner: psycopg.Connection, tenant: Tenant) -> None:
    ada = as_("buyer", sub="ada", venues=[])
    own = order(tenant) | {"buyer_id": None}

    assert ada.post("/payments", own).status_code == 202
    assert_problem(ada.post("/payments", order(tenant, buyer_id="bob")), 403, "access-denied")
    assert owner.execute("SELECT buyer_id FROM payments").fetchall() == [("ada",)]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"amount": {"minor": 99, "currency": "eur"}}, "#"),
        ({"amount": {"minor": "4200", "currency": "eur"}}, "#/amount/minor"),
        ({"tickets": []}, "#/tickets"),
        ({"tenant_id": str(uuid4())}, "#/tenant_id"),
        ({"card_number": "4242424242424242"}, "#/card_number"),
        ({"payment_method_id": "card_1"}, "#/payment_method_id"),
    ],
)
def test_a_body_that_breaks_a_rule_is_told_field_by_field_and_never_repeated(
    as_: As, owner: psycopg.Connection, tenant: Tenant, change: dict[str, Any], pointer: str
) -> None:
    answer = as_("venue_staff").post("/payments", order(tenant) | change)

    assert_problem(answer, 422, "body-invalid")
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert "4242424242424242" not in answer.text
    assert count(owner, "payments") == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"venue_id": str(uuid4())}, "is unknown to this tenant"),
        ({"amount": {"minor": 4200, "currency": "usd"}}, "the venue sells in eur"),
        ({"buyer_id": "nul\x00nul"}, "the database rejected the request"),
    ],
)
def test_what_the_book_cannot_take_is_refused_with_a_reason(
    as_: As, owner: psycopg.Connection, tenant: Tenant, change: dict[str, Any], sentence: str
) -> None:
    answer = as_("venue_staff").post("/payments", order(tenant) | change)

    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
    assert count(owner, "payments") == count(owner, "outbox") == 0


def test_a_tenant_nobody_knows_is_refused_and_leaves_nothing(
    as_: As, owner: psycopg.Connection, tenant: Tenant
) -> None:
    answer = as_("venue_staff", tenant_id=str(uuid4())).post("/payments", order(tenant))

    assert_problem(answer, 403, "unknown-tenant")
    assert count(owner, "api_requests") == count(owner, "payments") == 0


def test_a_quote_is_the_fee_that_the_charge_will_take(as_: As, tenant: Tenant) -> None:
    venue = str(tenant.venues[0].venue_id)

    answer = as_("finance").post("/fees/quote", {"venue_id": venue, "amount": {"minor": 4200, "currency": "eur"}})

    assert answer.status_code == 200
    assert answer.json()["platform_fee"] == {"minor": 260, "currency": "eur"}  # 5 % + 0.50
    assert answer.json()["venue_share"] == {"minor": 3940, "currency": "eur"}


@pytest.mark.parametrize(
    ("change", "code"),
    [({"venue_id": str(uuid4())}, "unknown-venue"), ({"amount": {"minor": 1, "currency": "usd"}}, "wrong-currency")],
)
def test_a_quote_for_what_cannot_be_sold_is_refused(as_: As, tenant: Tenant, change: dict[str, Any], code: str) -> None:
    body = {"venue_id": str(tenant.venues[0].venue_id), "amount": {"minor": 1, "currency": "eur"}} | change

    assert_problem(as_("finance").post("/fees/quote", body), 422, code)


def test_a_payment_is_shown_with_its_money_and_its_history(as_: As, db: Database, tenant: Tenant) -> None:
    payment = factories.requested(db, tenant, amount_minor=4200)
    with db.transaction(tenant.tenant_id) as tx:
        payments.begin_charging(tx, payment.payment_id, platform_fee_minor=260, by="test")
        declined = PaymentAttempt(None, "declined", "stolen_card")
        payments.mark_failed(tx, payment, intent_id="pi_1", reason="declined: stolen_card", attempt=declined, by="test")

    said = as_("buyer", sub="buyer-1", venues=[]).get(f"/payments/{payment.payment_id}").json()

    assert said["state"] == "failed"
    assert said["amount"] == {"minor": 4200, "currency": "eur"}
    assert said["captured"] == {"minor": 0, "currency": "eur"}
    assert said["platform_fee"] == {"minor": 260, "currency": "eur"}
    assert [change["state"] for change in said["history"]] == ["requested", "charging", "failed"]
    assert said["reason"] == said["history"][-1]["reason"] == "declined: card_declined"


def test_what_a_caller_does_not_reach_does_not_exist_for_it(
    as_: As, db: Database, tenant: Tenant, neighbour: Tenant
) -> None:
    payment = factories.requested(db, tenant)
    path = f"/payments/{payment.payment_id}"
    here, elsewhere = str(payment.venue_id), str(uuid4())

    assert as_("venue_staff", venues=[here]).get(path).status_code == 200
    assert as_("venue_staff", "buyer", sub="buyer-1", venues=[]).get(path).status_code == 200
    strangers = [
        as_("venue_staff", venues=[elsewhere]),
        as_("finance", venues=[]),
        as_("finance", without="venues"),
        as_("buyer", sub="somebody-else", venues=[here]),
        as_("finance", of=neighbour),
    ]
    for stranger in strangers:
        assert_problem(stranger.get(path), 404, "payment-not-found")


def test_a_service_that_knows_of_the_buyers_return_has_stripe_asked(
    as_: As, db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    payment = factories.requested(db, tenant)
    service = as_("service", scope="payments:complete")

    answer = service.post(f"/internal/payments/{payment.payment_id}/complete")

    assert answer.status_code == 202
    assert answer.json() == {"payment_id": str(payment.payment_id), "state": "requested"}
    assert owner.execute("SELECT count(*) FROM outbox WHERE kind = 'lookup'").fetchone() == (1,)


@pytest.mark.parametrize("claims", [{"roles": ["service"], "scope": "tax:quote"}, {"roles": ["finance"]}])
def test_internal_routes_are_for_services_with_that_scope(as_: As, tenant: Tenant, claims: dict[str, Any]) -> None:
    answer = as_(**claims).post(f"/internal/payments/{uuid4()}/complete")

    assert_problem(answer, 403, "insufficient-permissions")
    assert 'scope="payments:complete"' in answer.headers["www-authenticate"]


def test_tax_is_not_built_and_says_so(as_: As, tenant: Tenant) -> None:
    body = {"venue_id": str(tenant.venues[0].venue_id), "amount": {"minor": 100, "currency": "eur"}}

    answer = as_("service", scope="tax:quote").post("/internal/tax/quote", body)

    assert_problem(answer, 501, "tax-not-implemented")


def test_every_wrong_door_and_every_bad_body_is_a_problem_document(as_: As, client: TestClient, tenant: Tenant) -> None:
    staff = as_("venue_staff")
    bearer = {"Authorization": f"Bearer {staff.token}", "Idempotency-Key": "k"}
    as_json = bearer | {"Content-Type": "application/json"}

    assert_problem(client.get("/nowhere"), 404)
    assert_problem(client.post("/payments/", headers=bearer, follow_redirects=False), 404)
    assert_problem(client.get("/payments/no-uuid", headers=bearer), 404)
    wrong_method = client.get("/payments", headers=bearer)
    assert_problem(wrong_method, 405)
    assert wrong_method.headers["allow"] == "POST"
    assert_problem(client.post("/payments", content=b"{", headers=as_json), 400, "malformed-json")
    assert_problem(client.post("/payments", content=b"a=b", headers=bearer), 415)
    too_large = b" " * (LARGEST_ORDER_BYTES + 1)
    assert_problem(client.post("/payments", content=too_large, headers=as_json), 413)


def test_while_the_database_is_away_the_answer_is_503_and_the_key_stays_free(
    as_: As, owner: psycopg.Connection, tenant: Tenant, database_away: Any
) -> None:
    body, staff = order(tenant), as_("venue_staff")
    with database_away():
        answer = staff.post("/payments", body, key="again")

    assert_problem(answer, 503)
    assert answer.headers["retry-after"]
    assert staff.post("/payments", body, key="again").status_code == 202
    assert count(owner, "payments") == 1


def count(owner: psycopg.Connection, table: str) -> int:
    row = owner.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


def assert_problem(answer: Response, status: int, code: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == status
    assert said["title"]
    assert said["detail"]
    assert code is None or said["type"] == f"urn:payment-fleet:problem:{code}"
