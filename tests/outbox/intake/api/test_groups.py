"""Groups over the API: the same door as the events', for whom, and in which words it refuses."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db.tenants.tenants import Tenant
from tests import factories
from tests.outbox.intake.api.conftest import As
from tests.outbox.intake.api.test_payments import assert_problem, count

CARD = {"payment_method_id": "pm_card_visa"}


def group(of: Tenant, **changes: Any) -> dict[str, Any]:
    """The body of POST /groups."""
    return {name: value for name, value in factories.group(of, **changes).items() if name != "tenant_id"}


def share(of: dict[str, Any], place: int) -> str:
    return f"/groups/{of['group_id']}/members/{of['members'][place]['member_id']}/payments"


@pytest.fixture
def opened(as_: As, tenant: Tenant) -> dict[str, Any]:
    body = group(tenant)
    assert as_("venue_staff").post("/groups", body).status_code == 202
    return body


def test_a_group_is_opened_once_and_shown(as_: As, owner: psycopg.Connection, tenant: Tenant) -> None:
    body = group(tenant)

    answers = [as_("venue_staff").post("/groups", body) for _ in range(2)]
    shown = as_("finance").get(f"/groups/{body['group_id']}").json()

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].headers["location"] == f"/groups/{body['group_id']}"
    assert answers[0].json() == {"group_id": body["group_id"], "state": "open"}
    assert count(owner, "groups") == 1
    assert (shown["state"], shown["secured"]["minor"], [one["state"] for one in shown["members"]]) == (
        *("open", 0),
        ["invited"] * 3,
    )
    assert [move["state"] for move in shown["history"]] == ["open"]


def test_a_member_pays_its_share_and_the_same_key_is_the_same_payment(
    as_: As, owner: psycopg.Connection, opened: dict[str, Any]
) -> None:
    ben = as_("buyer", sub="buyer-1")

    first = ben.post(share(opened, 1), CARD, key="click-1")
    again = ben.post(share(opened, 1), CARD, key="click-1")
    late = ben.post(share(opened, 1), CARD, key="click-2")

    assert first.status_code == 202
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert_problem(late, 409, "share-payment-in-progress")
    assert owner.execute("SELECT buyer_id, capture, state_by FROM payments").fetchall() == [
        ("buyer-1", "manual", "api:buyer-1")
    ]
    assert ben.get(f"/payments/{first.json()['payment_id']}").status_code == 200


def test_a_buyer_reaches_its_own_share_and_nobody_elses(as_: As, opened: dict[str, Any]) -> None:
    ben, stranger = as_("buyer", sub="buyer-1"), as_("buyer", sub="somebody")

    assert ben.get(f"/groups/{opened['group_id']}").status_code == 200
    assert_problem(ben.post(share(opened, 2), CARD), 404, "group-not-found")
    assert_problem(ben.post(f"/groups/{opened['group_id']}/top-up", CARD), 404, "group-not-found")
    assert_problem(stranger.get(f"/groups/{opened['group_id']}"), 404, "group-not-found")
    assert ben.post(f"/groups/{opened['group_id']}/cancel", {}).status_code == 403


def test_the_organiser_tops_up(as_: As, owner: psycopg.Connection, opened: dict[str, Any]) -> None:
    as_("buyer", sub="buyer-1").post(share(opened, 1), CARD)

    answer = as_("buyer", sub="buyer-0").post(f"/groups/{opened['group_id']}/top-up", CARD)
    nothing = as_("buyer", sub="buyer-0").post(f"/groups/{opened['group_id']}/top-up", CARD)

    assert answer.status_code == 202
    assert_problem(nothing, 409, "no-unpaid-shares")
    assert sorted(row[0] for row in owner.execute("SELECT amount_minor FROM payments").fetchall()) == [2000, 4000]


def test_a_buyer_opens_only_what_it_organises_and_sets_no_limit(as_: As, tenant: Tenant) -> None:
    anna = as_("buyer", sub="buyer-0")

    assert anna.post("/groups", group(tenant)).status_code == 202
    assert_problem(as_("buyer", sub="buyer-1").post("/groups", group(tenant)), 403, "access-denied")
    assert_problem(anna.post("/groups", group(tenant, tickets_per_buyer=9)), 403, "access-denied")


def test_more_tickets_than_a_buyer_may_have_are_refused(as_: As, tenant: Tenant) -> None:
    limited = group(tenant, tickets_per_buyer=1)
    staff = as_("venue_staff")
    assert staff.post("/groups", limited).status_code == 202

    other = group(tenant, event_id=limited["event_id"])
    order = {**factories.order(tenant, event_id=limited["event_id"], buyer_id="buyer-0")}
    alone = {name: value for name, value in order.items() if name not in {"tenant_id", "idempotency_key"}}

    assert_problem(staff.post("/groups", other), 422, "group-rejected")
    assert_problem(staff.post("/payments", alone), 422, "order-rejected")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"deadline": "2020-01-01T00:00:00Z"}, "group-rejected"),
        ({"deadline": (datetime.now(UTC) + timedelta(days=300)).isoformat()}, "group-rejected"),
        ({"organiser_id": str(uuid4())}, "body-invalid"),
    ],
)
def test_a_group_that_cannot_be_is_refused(as_: As, tenant: Tenant, changes: dict[str, Any], code: str) -> None:
    assert_problem(as_("venue_staff").post("/groups", group(tenant, **changes)), 422, code)


def test_another_group_under_the_same_id_is_a_conflict(as_: As, tenant: Tenant, opened: dict[str, Any]) -> None:
    answer = as_("venue_staff").post("/groups", group(tenant, group_id=opened["group_id"]))

    assert_problem(answer, 409, "group-conflict")


def test_a_group_is_called_off_and_takes_no_share_any_more(as_: As, opened: dict[str, Any]) -> None:
    staff = as_("venue_staff")

    answer = staff.post(f"/groups/{opened['group_id']}/cancel", {"note": "they quarrel"})

    assert (answer.status_code, answer.json()["state"]) == (202, "canceled")
    assert_problem(staff.post(share(opened, 0), CARD), 409, "group-not-open")
    assert staff.get(f"/groups/{opened['group_id']}").json()["reason"] == "they quarrel"


def test_a_settled_group_is_called_off_only_by_who_may_refund(
    as_: As, owner: psycopg.Connection, opened: dict[str, Any]
) -> None:
    owner.execute("ALTER TABLE groups DISABLE TRIGGER a_group_moves_legally")
    owner.execute("UPDATE groups SET state = 'settled', history_seq = 2")
    owner.execute("ALTER TABLE groups ENABLE TRIGGER a_group_moves_legally")
    cancel = f"/groups/{opened['group_id']}/cancel"

    assert_problem(as_("venue_staff").post(cancel, {}), 409, "already-settled")
    assert as_("finance").post(cancel, {}).status_code == 202


def test_another_tenants_group_does_not_exist(as_: As, neighbour: Tenant, opened: dict[str, Any]) -> None:
    answer = as_("finance", of=neighbour).get(f"/groups/{opened['group_id']}")

    assert_problem(answer, 404, "group-not-found")
