"""event_sweep: what no webhook brought is found in Stripe's list, counted once, and not lost by a run that broke."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database
from db.tenants.tenants import Tenant
from db.webhooks import event_coverage
from db.webhooks.event_coverage import Coverage
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested
from messages.reconciliation import EventSweepDue
from messages.verdicts import TryAgain
from messages.webhooks import WANTED, WebhookReceived
from outbox.intake.stripe_events import receive
from stripe_client.gateway import Gateway
from tests import factories, waiting
from tests.workers.conftest import Ledgers
from tests.workers.webhooks.scenario import events_of, verified
from workers.payments.charge import charge
from workers.webhooks.event_sweep import sweep_events
from workers.webhooks.webhook import webhook

Pay = Callable[..., Payment]
Sweep = Callable[[], None]


@pytest.fixture
def run_sweep(db: Database, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("EVENT_SWEEP_SETTLE_SECONDS", "0")
    return lambda: sweep_events(EventSweepDue(due_at=datetime.now(UTC)), db, gateway)


def test_a_success_that_no_answer_and_no_webhook_told_is_found_and_booked(
    db: Database, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl, run_sweep: Sweep, book_of: Ledgers
) -> None:
    payment = factories.requested(db, tenant)
    stripe_control.add_fault("drop_after", method="POST", path="/v1/payment_intents")
    with pytest.raises(TryAgain):
        charge(ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id), db, gateway)
    stripe_control.clear_faults()

    sweep_until(run_sweep, book_of, inbox=1)
    for message in book_of.messages():
        if message["kind"] == "webhook":
            webhook(WebhookReceived(tenant_id=tenant.tenant_id, event_id=message["event_id"]), db, gateway)

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED


def test_each_event_is_counted_once_and_by_the_road_on_which_it_came_first(
    db: Database, gateway: Gateway, pay: Pay, run_sweep: Sweep, book_of: Ledgers
) -> None:
    for _ in range(2):
        pay()
    first, *others = [event for event in events_of(gateway) if event["type"] in WANTED]
    receive(db, verified(first))

    sweep_until(run_sweep, book_of, inbox=1 + len(others))
    run_sweep()
    receive(db, verified(others[0]))

    assert total(db) == (1 + len(others), 1, len(others))


def test_only_events_that_can_move_the_book_are_asked_for(
    gateway: Gateway, pay: Pay, run_sweep: Sweep, book_of: Ledgers, owner: psycopg.Connection
) -> None:
    pay()

    sweep_until(run_sweep, book_of, inbox=1)

    assert {kind for (kind,) in owner.execute("SELECT event_type FROM webhook_inbox")} <= WANTED
    assert len(events_of(gateway)) > book_of.count("webhook_inbox")


def test_a_run_without_an_answer_leaves_the_cursor_and_the_next_one_finds_everything(
    db: Database, pay: Pay, stripe_control: EmulatorControl, run_sweep: Sweep, book_of: Ledgers
) -> None:
    pay()
    stripe_control.add_fault("error", method="GET", path="/v1/events", status=503)

    with pytest.raises(TryAgain):
        run_sweep()
    with db.system_transaction() as tx:
        assert event_coverage.standing(tx) is None
    stripe_control.clear_faults()

    sweep_until(run_sweep, book_of, inbox=1)


def test_the_first_run_begins_before_the_first_order_and_later_ones_before_the_cursor(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    factories.requested(db, tenant)
    owner.execute("UPDATE orders SET received_at = received_at - interval '5 days'")
    first = gap(db)
    with db.system_transaction() as tx:
        event_coverage.move(tx, first.until)
        event_coverage.move(tx, first.until - timedelta(hours=1))  # a slower sweep
    later = gap(db)

    assert timedelta(days=5) < first.until - first.since < timedelta(days=5, minutes=1)
    assert later.since == first.until - timedelta(seconds=10)
    assert later.lost_seconds == 0


def test_a_sweep_that_stood_for_longer_than_stripe_remembers_says_what_is_out_of_reach(
    db: Database, owner: psycopg.Connection
) -> None:
    owner.execute("INSERT INTO event_sweep (swept_until) VALUES (now() - interval '31 days')")

    found = gap(db)

    assert 86_400 <= found.lost_seconds < 86_500
    assert found.until - found.since <= timedelta(days=30)


def test_a_long_gap_is_swept_hour_by_hour_from_the_oldest(
    db: Database, owner: psycopg.Connection, stripe_control: EmulatorControl, run_sweep: Sweep
) -> None:
    owner.execute("INSERT INTO event_sweep (swept_until) VALUES (now() - interval '3 hours')")

    run_sweep()

    asked = [request["path"] for request in stripe_control.requests()]
    assert asked.count("/v1/events") in {4, 5}
    with db.system_transaction() as tx:
        standing = event_coverage.standing(tx)
    assert standing is not None
    assert standing.behind_seconds < 60


def sweep_until(run_sweep: Sweep, book_of: Ledgers, *, inbox: int) -> None:
    """Stripe's times are whole seconds, and a window ends before the one that runs."""

    def swept() -> bool:
        run_sweep()
        return book_of.count("webhook_inbox") >= inbox

    waiting.until(swept)


def gap(db: Database) -> event_coverage.CoverageGap:
    with db.system_transaction() as tx:
        return event_coverage.gap(tx, overlap_seconds=10, settle_seconds=0, reach_days=30)


def total(db: Database) -> tuple[int, int, int]:
    with db.system_transaction() as tx:
        hours: list[Coverage] = event_coverage.coverage(tx, hours=24)
    return tuple(sum(getattr(hour, name) for hour in hours) for name in ("listed", "by_webhook", "only_by_sweep"))  # type: ignore[return-value]
