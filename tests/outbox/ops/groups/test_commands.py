"""Groups at the operator's desk: listed, shown with every move, and called off by a worker."""

from uuid import UUID, uuid4

import orjson
import psycopg
import pytest

from db.operators import log as operator_log
from db.operators import timeline
from db.session import Database
from db.tenants.tenants import Tenant
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.ops.payments.timeline import sentence
from outbox.requests.orders import OrderOutcome
from tests import factories
from tests.outbox.ops.conftest import Fleet


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.fixture
def group_id(db: Database, tenant: Tenant) -> UUID:
    """A group of three of which one is paying."""
    data = factories.group(tenant)
    events = [factories.group_event("opened", data), factories.group_event("share_paid_with", factories.share(data, 0))]
    assert accept(db, [IncomingEvent(event) for event in events]) == [OrderOutcome.ACCEPTED] * 2
    return UUID(data["group_id"])


def test_a_group_is_listed_and_shown_with_its_members_payments_and_moves(fleet: Fleet, group_id: UUID) -> None:
    (listed,) = fleet("groups", "list", "--state", "open", "--json").json["groups"]
    shown = fleet("groups", "show", group_id, "--json").json
    said = fleet("groups", "show", group_id).out

    assert (listed["group_id"], listed["members"], listed["secured_minor"]) == (str(group_id), 3, 0)
    assert fleet("groups", "list", "--state", "voided", "--json").json["groups"] == []
    assert [member["state"] for member in shown["members"]] == ["paying", "invited", "invited"]
    assert [(one["kind"], one["amount_minor"]) for one in shown["payments"]] == [("share", 2000)]
    assert len(shown["history"]) == 1 + 3 + 1
    assert "idempotency_key" not in shown["payments"][0]
    assert "buyer-2" in said
    assert f"fleet groups cancel {group_id}" in fleet("groups", "show", group_id).err


def test_an_operator_calls_a_group_off_through_a_worker_and_the_log_says_so(
    fleet: Fleet, db: Database, owner: psycopg.Connection, tenant: Tenant, group_id: UUID
) -> None:
    answer = fleet("groups", "cancel", group_id, "--reason", "the organiser called", "--yes")

    assert answer.code == 0
    row = owner.execute("SELECT body FROM outbox WHERE kind = 'cancel_group'").fetchone()
    assert row is not None
    assert orjson.loads(row[0])["kwargs"]["payload"] == {
        "tenant_id": str(tenant.tenant_id),
        "payment_id": None,
        "group_id": str(group_id),
        "reason": "the organiser called",
        "by": "ops:ada",
    }
    with db.ops_transaction() as tx:
        (entry,) = operator_log.latest(tx, limit=9)
    assert (entry.action, entry.subject["group_id"]) == ("cancel group", str(group_id))


@pytest.mark.parametrize("spelling", ["canceled", "cancelled"])
def test_a_filter_by_either_spelling_of_canceled_finds_the_group(
    fleet: Fleet, owner: psycopg.Connection, group_id: UUID, spelling: str
) -> None:
    owner.execute("UPDATE groups SET state = 'canceled', state_by = 'test'")

    (listed,) = fleet("groups", "list", "--state", spelling, "--json").json["groups"]

    assert (listed["group_id"], listed["state"]) == (str(group_id), "canceled")


@pytest.mark.parametrize(("state", "word"), [("settled", "fleet refunds create"), ("voided", "already voided")])
def test_a_group_that_has_ended_is_not_called_off(
    fleet: Fleet, owner: psycopg.Connection, group_id: UUID, state: str, word: str
) -> None:
    owner.execute("ALTER TABLE groups DISABLE TRIGGER a_group_moves_legally")
    owner.execute("UPDATE groups SET state = %s, history_seq = 2", [state])

    answer = fleet("groups", "cancel", group_id, "--reason", "why not", "--yes")

    assert answer.code == 1
    assert word in answer.err


def test_an_unknown_group_and_a_missing_reason_are_refused(fleet: Fleet, group_id: UUID) -> None:
    assert fleet("groups", "show", uuid4()).code == 1
    assert fleet("groups", "cancel", group_id, "--yes").code == 2


def test_a_payments_timeline_tells_of_its_group(db: Database, owner: psycopg.Connection, group_id: UUID) -> None:
    row = owner.execute("SELECT payment_id::text FROM payments").fetchone()
    assert row is not None

    with db.ops_transaction() as tx:
        story = timeline.happenings(tx, timeline.find(tx, row[0])[0])

    said = [sentence(line).split("\n")[0] for line in story if line.part == "group"]
    assert said == ["group open", "contribution of buyer-0 invited -> paying"]
