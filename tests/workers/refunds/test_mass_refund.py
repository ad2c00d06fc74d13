"""A mass cancellation: each buyer gets everything back once, however often it is delivered, killed, paused or broke."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import orjson
import psycopg
import pytest

from db.payments.states import PaymentState
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.refunds import EventCancellationDue
from messages.sweeps import SweepDue
from messages.verdicts import GiveUp, TryLater
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.ledger.scenario import events_told
from tests.workers.refunds.mass_refund_scenario import (
    EVENT,
    begun,
    carry_out,
    event_off,
    refund_event,
    reread,
    run_to_its_end,
    state,
    steer,
    step_of,
)
from tests.workers.refunds.scenario import charged, given_back, of_payment
from workers.refunds import mass_refund
from workers.sweep import sweep


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, stripe_control: EmulatorControl) -> None:
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("EVENT_CANCELLATION_DESPITE_BALANCE", "true")  # a test about the balance says otherwise


def test_everybody_gets_everything_back_and_what_was_not_taken_is_never_taken(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant, owner: psycopg.Connection
) -> None:
    paid = [charged(db, gateway, tenant, event_id=str(EVENT)) for _ in range(3)]
    held = charged(db, gateway, tenant, event_id=str(EVENT), capture="manual")
    untouched = factories.requested(db, tenant, event_id=str(EVENT))
    declined = charged(db, gateway, tenant, event_id=str(EVENT), payment_method_id="pm_card_visa_chargeDeclined")
    another_event = charged(db, gateway, tenant)

    run = run_to_its_end(db, gateway, begun(db, tenant))
    carry_out(db, owner, gateway)

    assert (run.state, run.total, run.refunds_asked, run.cancellations_asked) == ("done", 6, 3, 3)
    assert (run.nothing_left, run.refused) == (0, 0)
    assert given_back(stripe_control) == [4200] * 3
    assert {one.reason for payment in paid for one in of_payment(db, payment)} == {"event_cancelled"}
    assert {state(db, each) for each in (held, untouched, declined)} == {PaymentState.CANCELED}
    assert of_payment(db, another_event) == []


def test_a_partial_refund_of_before_is_left_out_and_a_whole_one_leaves_nothing(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant, owner: psycopg.Connection
) -> None:
    partly, wholly = (charged(db, gateway, tenant, event_id=str(EVENT)) for _ in range(2))
    for payment, minor in ((partly, 1000), (wholly, 4200)):
        accept(db, [IncomingEvent(refund_event(tenant, payment, minor))])

    run = run_to_its_end(db, gateway, begun(db, tenant))
    carry_out(db, owner, gateway)

    assert (run.refunds_asked, run.nothing_left) == (1, 1)
    assert sorted(given_back(stripe_control)) == [1000, 3200, 4200]


def test_a_second_delivery_of_a_step_changes_nothing(db: Database, gateway: Gateway, tenant: Tenant) -> None:
    charged(db, gateway, tenant, event_id=str(EVENT))
    run = begun(db, tenant)
    first = step_of(run)

    mass_refund.cancel_event(first, db, gateway)
    mass_refund.cancel_event(first, db, gateway)

    assert (reread(db, run).step, reread(db, run).refunds_asked) == (2, 1)


def test_two_deliveries_at_once_take_a_step_once(
    db: Database, gateway: Gateway, tenant: Tenant, owner: psycopg.Connection
) -> None:
    for _ in range(6):
        charged(db, gateway, tenant, event_id=str(EVENT))
    run = begun(db, tenant, rate=3)

    for step in range(1, 4):
        at_step = EventCancellationDue(tenant_id=tenant.tenant_id, cancellation_id=run.cancellation_id, step=step)
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda due: mass_refund.cancel_event(due, db, gateway), [at_step] * 4))

    assert (reread(db, run).state, reread(db, run).refunds_asked) == ("done", 6)
    assert owner.execute("SELECT count(*) FROM refunds").fetchone() == (6,)
    assert owner.execute("SELECT count(*) FROM outbox WHERE kind = 'cancel_event'").fetchone() == (3,)


def test_the_pace_is_kept_by_the_time_of_the_next_step(
    db: Database, gateway: Gateway, tenant: Tenant, owner: psycopg.Connection
) -> None:
    for _ in range(3):
        factories.requested(db, tenant, event_id=str(EVENT))
    run = begun(db, tenant, rate=2)
    before = datetime.now(UTC)

    mass_refund.cancel_event(step_of(run), db, gateway)

    (due_at,) = owner.execute("SELECT max(due_at) FROM outbox WHERE kind = 'cancel_event'").fetchone()  # type: ignore[misc]
    assert reread(db, run).taken == 2
    assert 0.9 < (due_at - before).total_seconds() < 2


def test_it_waits_visibly_while_the_balance_is_too_small_and_goes_on_once_it_is_not(
    db: Database,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EVENT_CANCELLATION_DESPITE_BALANCE", "false")
    for _ in range(2):
        charged(db, gateway, tenant, event_id=str(EVENT))  # its funds are pending for days
    run = begun(db, tenant)

    with pytest.raises(TryLater, match=r"short by 84.00 EUR"):
        mass_refund.cancel_event(step_of(run), db, gateway)
    waiting = reread(db, run)
    charged(db, gateway, tenant, payment_method_id="pm_card_bypassPending", amount_minor=10_000)
    ended = run_to_its_end(db, gateway, run)

    assert (waiting.state, waiting.step, waiting.taken) == ("waiting_for_balance", 1, 0)
    assert "short by" in (waiting.state_reason or "")
    assert (ended.state, ended.refunds_asked) == ("done", 2)


def test_refunds_that_are_on_their_way_to_stripe_count_against_the_balance(
    db: Database, gateway: Gateway, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT_CANCELLATION_DESPITE_BALANCE", "false")
    for _ in range(2):
        charged(db, gateway, tenant, event_id=str(EVENT))
    charged(db, gateway, tenant, payment_method_id="pm_card_bypassPending", amount_minor=5_000)
    run = begun(db, tenant, rate=1)

    mass_refund.cancel_event(step_of(run), db, gateway)
    with pytest.raises(TryLater, match="short by"):
        mass_refund.cancel_event(step_of(reread(db, run)), db, gateway)

    assert reread(db, run).refunds_asked == 1


def test_an_operator_may_let_it_go_on_and_the_refunds_then_wait_at_stripe(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant, owner: psycopg.Connection
) -> None:
    stripe_control.set_refunds_beyond_balance("wait")
    payment = charged(db, gateway, tenant, event_id=str(EVENT))

    run_to_its_end(db, gateway, begun(db, tenant, despite_balance=True))
    carry_out(db, owner, gateway)

    assert [one.state.value for one in of_payment(db, payment)] == ["pending"]


def test_messages_of_before_a_pause_do_nothing_and_resuming_goes_on_where_it_stood(
    db: Database, gateway: Gateway, tenant: Tenant
) -> None:
    for _ in range(4):
        factories.requested(db, tenant, event_id=str(EVENT))
    run = begun(db, tenant, rate=2)
    mass_refund.cancel_event(step_of(run), db, gateway)
    stale = step_of(reread(db, run))
    steer(db, run, "paused", leaving=["running"])

    mass_refund.cancel_event(stale, db, gateway)
    stood = reread(db, run)
    steer(db, run, "running", leaving=["paused"])
    mass_refund.cancel_event(stale, db, gateway)
    ended = run_to_its_end(db, gateway, run)

    assert (stood.state, stood.taken) == ("paused", 2)
    assert (ended.state, ended.cancellations_asked) == ("done", 4)


def test_a_stopped_one_goes_no_further_and_the_event_may_be_cancelled_anew(
    db: Database, gateway: Gateway, tenant: Tenant
) -> None:
    for _ in range(3):
        factories.requested(db, tenant, event_id=str(EVENT))
    first = begun(db, tenant, rate=1)
    mass_refund.cancel_event(step_of(first), db, gateway)
    steer(db, first, "canceled", leaving=["running"])

    mass_refund.cancel_event(step_of(reread(db, first)), db, gateway)
    second = run_to_its_end(db, gateway, begun(db, tenant))

    assert (reread(db, first).state, reread(db, first).taken) == ("canceled", 1)
    assert second.cancellation_id != first.cancellation_id
    assert (second.total, second.cancellations_asked) == (3, 3)


def test_an_order_that_comes_after_the_end_is_cancelled_at_the_door_and_never_charged(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant, owner: psycopg.Connection
) -> None:
    run_to_its_end(db, gateway, begun(db, tenant))

    late = factories.requested(db, tenant, event_id=str(EVENT))
    on = factories.requested(db, tenant)
    carry_out(db, owner, gateway)

    assert state(db, late) is PaymentState.CANCELED
    assert state(db, on) is PaymentState.REQUESTED
    assert stripe_control.effects() == []
    assert events_told(owner) == ["payment.failed"]


def test_an_order_that_is_being_accepted_is_counted_and_one_that_follows_is_cancelled_at_the_door(
    db: Database, gateway: Gateway, tenant: Tenant
) -> None:
    """Whatever the order of the two commits, none slips between intake and cancellation."""
    with ThreadPoolExecutor(9) as threads:
        orders = [threads.submit(factories.requested, db, tenant, event_id=str(EVENT)) for _ in range(30)]
        off = threads.submit(begun, db, tenant)
        orders += [threads.submit(factories.requested, db, tenant, event_id=str(EVENT)) for _ in range(30)]
        payments = [order.result() for order in orders]

    run = run_to_its_end(db, gateway, off.result())

    wishes = [factories.reread(db, tenant.tenant_id, payment.payment_id).cancel_reason for payment in payments]
    assert wishes == ["event_cancelled"] * 60
    assert run.total == run.cancellations_asked
    assert 0 < run.total < 60
    assert run.pass_ == 1


def test_what_was_left_out_is_found_by_the_last_look_before_it_ends(
    db: Database, gateway: Gateway, tenant: Tenant, owner: psycopg.Connection
) -> None:
    payments = [factories.requested(db, tenant, event_id=str(EVENT)) for _ in range(3)]
    run = begun(db, tenant)
    mass_refund.cancel_event(step_of(run), db, gateway)
    owner.execute(  # as if somebody had taken the wish back behind the cursor
        "UPDATE payments SET cancel_requested_at = NULL, cancel_reason = NULL, cancel_requested_by = NULL "
        "WHERE payment_id = %s",
        [payments[0].payment_id],
    )

    ended = run_to_its_end(db, gateway, run)

    assert (ended.state, ended.pass_, ended.cancellations_asked) == ("done", 2, 4)
    assert factories.reread(db, tenant.tenant_id, payments[0].payment_id).cancel_reason == "event_cancelled"


def test_the_order_service_cancels_an_event_once_even_one_without_orders(
    db: Database, tenant: Tenant, owner: psycopg.Connection
) -> None:
    factories.requested(db, tenant, event_id=str(EVENT))
    off = event_off(tenant, EVENT)

    outcomes = accept(db, [IncomingEvent(off), IncomingEvent(off), IncomingEvent(event_off(tenant, uuid4()))])

    assert outcomes == [OrderOutcome.ACCEPTED, OrderOutcome.DUPLICATE, OrderOutcome.ACCEPTED]
    rows = owner.execute(
        "SELECT total, state, created_by, note FROM event_cancellations ORDER BY total DESC"
    ).fetchall()
    assert rows == [(1, "running", "intake", "rain"), (0, "running", "intake", "rain")]


def test_the_sweep_wakes_one_whose_message_was_lost(
    db: Database, gateway: Gateway, tenant: Tenant, owner: psycopg.Connection
) -> None:
    run = begun(db, tenant)
    owner.execute("DELETE FROM outbox")
    owner.execute("UPDATE event_cancellations SET moved_at = moved_at - interval '1 hour'")

    sweep(SweepDue(due_at=datetime.now(UTC)), db)
    sweep(SweepDue(due_at=datetime.now(UTC)), db)

    (waiting,) = owner.execute("SELECT body FROM outbox WHERE kind = 'cancel_event'").fetchall()
    assert orjson.loads(waiting[0])["kwargs"]["payload"]["cancellation_id"] == str(run.cancellation_id)


def test_a_cancellation_that_the_book_does_not_have_is_given_up(db: Database, gateway: Gateway, tenant: Tenant) -> None:
    unknown = EventCancellationDue(tenant_id=tenant.tenant_id, cancellation_id=uuid4(), step=1)

    with pytest.raises(GiveUp, match="no cancellation"):
        mass_refund.cancel_event(unknown, db, gateway)
