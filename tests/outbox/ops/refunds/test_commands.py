"""Refunds and cancelled events from the command line, with real workers behind it."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from db.payments.payments import Payment
from db.refunds.refunds import Refund
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from outbox.append import append
from outbox.sealing import Sealer, SealSettings, new_pair
from stripe_client.gateway import Gateway
from tests import factories, waiting
from tests.outbox.ops.conftest import Fleet
from tests.outbox.ops.scenario import workers_at_work
from tests.workers.refunds.scenario import charged, given_back, lookup, of_payment

EVENT = uuid4()


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.fixture
def paid(db: Database, gateway: Gateway, tenant: Tenant) -> Payment:
    return charged(db, gateway, tenant)


@pytest.fixture
def workers(db: Database, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("EVENT_CANCELLATION_DESPITE_BALANCE", "true")
    public, _ = new_pair()
    sealer = Sealer(SealSettings(app_env="test", dead_letter_public_key=public))  # type: ignore[arg-type]
    with workers_at_work(db, gateway, sealer):
        yield


def test_nothing_is_shown_well_in_every_list(fleet: Fleet) -> None:
    assert fleet("refunds", "list", "--json").json == {"refunds": [], "requests": []}
    assert fleet("refunds", "obligations", "--json").json == {"obligations": []}
    assert fleet("refunds", "event-status", "--json").json == {"cancellations": []}
    for words in (("list",), ("obligations",), ("event-status",)):
        assert fleet("refunds", *words).code == 0
    assert fleet("refunds", "show", uuid4()).code == 1


@pytest.mark.usefixtures("workers")
def test_an_operator_gives_a_part_back_and_it_is_in_the_log(
    fleet: Fleet, db: Database, stripe_control: EmulatorControl, paid: Payment
) -> None:
    made = fleet("refunds", "create", paid.payment_id, "--minor", 1000, "--reason", "rain", "--yes", "--json")

    assert made.code == 0, made.err
    assert made.json["state"] == "granted"
    waiting.until(lambda: given_back(stripe_control) == [1000])
    waiting.until(lambda: fleet("refunds", "list", "--state", "succeeded", "--json").json["refunds"])
    shown = fleet("refunds", "show", made.json["refund_id"])
    assert "10.00 EUR" in shown.out
    assert "sending -> succeeded" in shown.out
    assert "rain" in shown.out
    assert fleet("refunds", "show", made.json["request_id"]).code == 0
    entry = fleet("ops", "log", "--json").json["entries"][0]
    assert (entry["action"], entry["operator"], entry["subject"]["amount_minor"]) == ("refund", "ada", 1000)


@pytest.mark.usefixtures("workers")
def test_what_a_worker_refuses_is_told_with_its_reason(fleet: Fleet, paid: Payment) -> None:
    answer = fleet("refunds", "create", paid.payment_id, "--minor", 4201, "--reason", "rain", "--yes")

    assert answer.code == 1
    assert "amount_exceeds_captured" in answer.err


def test_without_a_yes_nothing_is_asked_for(fleet: Fleet, owner: psycopg.Connection, paid: Payment) -> None:
    answer = fleet("refunds", "create", paid.payment_id, "--reason", "rain", answer="n\n")

    assert answer.code == 1
    assert "Refund 42.00 EUR of the remaining 42.00 EUR" in answer.err
    assert owner.execute("SELECT count(*) FROM operator_requests").fetchone() == (0,)


@pytest.mark.usefixtures("workers")
def test_a_large_refund_waits_for_a_second_person(
    fleet: Fleet, db: Database, paid: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLAY_APPROVAL_MINOR", "4000")

    asked = fleet("refunds", "create", paid.payment_id, "--reason", "rain", "--yes", "--json")
    request_id = asked.json["request_id"]
    alone = fleet("refunds", "approve", request_id, "--yes")
    seen = fleet("refunds", "list")
    by_another = fleet("refunds", "approve", request_id, "--yes", "--operator", "oda")

    assert (asked.code, alone.code, by_another.code) == (3, 1, 0)
    assert "a second operator must approve" in alone.err
    assert f"fleet refunds approve {request_id}" in seen.err
    waiting.until(lambda: bool(of_payment(db, paid)))


def test_a_refund_that_waits_for_approval_can_be_withdrawn(
    fleet: Fleet, db: Database, paid: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLAY_APPROVAL_MINOR", "4000")
    asked = fleet("refunds", "create", paid.payment_id, "--reason", "rain", "--yes", "--json")

    gone = fleet("refunds", "withdraw", asked.json["request_id"], "--reason", "no rain")
    late = fleet("refunds", "approve", asked.json["request_id"], "--yes", "--operator", "oda")

    assert (gone.code, late.code) == (0, 1)
    assert "withdrawn" in late.err


@pytest.mark.usefixtures("workers")
def test_a_refund_that_failed_later_is_owed_until_it_is_tried_again(
    fleet: Fleet, db: Database, gateway: Gateway, stripe_control: EmulatorControl, paid: Payment
) -> None:
    fleet("refunds", "create", paid.payment_id, "--reason", "rain", "--yes")
    waiting.until(lambda: given_back(stripe_control) == [4200])
    (first,) = of_payment(db, paid)
    waiting.until(lambda: of_payment(db, paid)[0].stripe_refund_id is not None)
    stripe_control.finish_refund(of_payment(db, paid)[0].stripe_refund_id or "", "fail")
    look_at(db, first)
    waiting.until(lambda: of_payment(db, paid)[0].state.value == "failed")

    owed = fleet("refunds", "obligations", "--json")
    told = fleet("refunds", "obligations")
    again = fleet("refunds", "retry", first.refund_id, "--reason", "new card", "--yes", "--json")
    twice = fleet("refunds", "retry", first.refund_id, "--reason", "new card", "--yes")

    assert owed.code == told.code == 1
    assert [one["payable_minor"] for one in owed.json["obligations"]] == [4200]
    assert "42.00 EUR" in told.out
    assert (again.code, again.json["state"]) == (0, "granted")
    assert twice.code == 1
    assert "already in progress" in twice.err
    waiting.until(lambda: len(given_back(stripe_control)) == 2)
    assert fleet("refunds", "obligations").code == 0


@pytest.mark.usefixtures("workers")
def test_an_event_is_cancelled_and_followed_to_its_end(
    fleet: Fleet, db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payments = [charged(db, gateway, tenant, event_id=str(EVENT)) for _ in range(3)]

    done = fleet("refunds", "cancel-event", EVENT, "--reason", "storm", "--rate", 50, "--yes", "--watch", "--json")
    again = fleet("refunds", "cancel-event", EVENT, "--reason", "storm", "--yes")

    assert done.code == 0, done.err
    assert (done.json["state"], done.json["total"], done.json["refunds_asked"]) == ("done", 3, 3)
    assert (again.code, "already cancelled" in again.err) == (1, True)
    waiting.until(lambda: len(given_back(stripe_control)) == 3)
    waiting.until(lambda: all(of_payment(db, one)[0].state.value == "succeeded" for one in payments))
    shown = fleet("refunds", "event-status", EVENT)
    assert "3 of 3 processed" in shown.out
    assert "126.00 EUR" in shown.out
    assert "storm" in fleet("refunds", "event-status").out


def test_an_event_that_nobody_sold_is_refused_and_a_dear_one_waits_for_a_second_person(
    fleet: Fleet, db: Database, gateway: Gateway, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged(db, gateway, tenant, event_id=str(EVENT))
    monkeypatch.setenv("REPLAY_APPROVAL_MINOR", "4000")

    unknown = fleet("refunds", "cancel-event", uuid4(), "--reason", "storm", "--yes")
    dear = fleet("refunds", "cancel-event", EVENT, "--reason", "storm", "--yes", "--json")
    on_sale = factories.requested(db, tenant, event_id=str(EVENT))
    own = fleet("refunds", "approve", dear.json["cancellation_id"], "--yes")
    other = fleet("refunds", "approve", dear.json["cancellation_id"], "--yes", "--operator", "oda", "--json")
    too_late = factories.requested(db, tenant, event_id=str(EVENT))

    assert (unknown.code, dear.code, own.code, other.code) == (1, 3, 1, 0)
    assert "is that its id" in unknown.err
    assert (other.json["state"], other.json["total"]) == ("running", 2)
    assert on_sale.cancel_reason is None
    assert too_late.cancel_reason == "event_cancelled"


def test_a_cancellation_is_paused_resumed_at_another_pace_and_stopped(
    fleet: Fleet, db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    for _ in range(2):
        factories.requested(db, tenant, event_id=str(EVENT))
    run = fleet("refunds", "cancel-event", EVENT, "--reason", "storm", "--yes", "--json").json["cancellation_id"]

    paused = fleet("refunds", "pause", run, "--reason", "wait", "--json")
    twice = fleet("refunds", "pause", run, "--reason", "wait")
    resumed = fleet("refunds", "resume", run, "--reason", "go", "--rate", 5, "--despite-balance", "--json")
    stopped = fleet("refunds", "stop", run, "--reason", "the storm has passed", "--yes", "--json")

    assert (paused.json["state"], twice.code) == ("paused", 1)
    assert (resumed.json["state"], resumed.json["rate_per_second"]) == ("running", 5)
    assert resumed.json["despite_balance"] is True
    assert stopped.json["state"] == "canceled"
    assert owner.execute("SELECT count(*) FROM outbox WHERE kind = 'cancel_event'").fetchone() == (2,)
    actions = [entry["action"] for entry in fleet("ops", "log", "--json").json["entries"]]
    assert actions == [
        "stop event cancellation",
        "resume event cancellation",
        "pause event cancellation",
        "cancel event",
    ]


def look_at(db: Database, refund: Refund) -> None:
    """What Stripe's event would do: have a worker fetch the refund again."""
    with db.system_transaction() as tx:
        append(tx, lookup(refund))
