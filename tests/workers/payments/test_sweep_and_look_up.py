"""sweep finds what stands between two phases; lookup asks Stripe about it. Neither does anything twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest

from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.ids import PaymentId
from messages.payments import PaymentLookupRequested
from messages.sweeps import SweepDue
from messages.verdicts import GiveUp, TryAgain
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.conftest import Ledgers
from workers.payments.look_up import lookup
from workers.sweep import sweep

Pay = Callable[..., Payment]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("SWEEP_AFTER_SECONDS", "60")


@pytest.fixture
def run_sweep(db: Database, owner: psycopg.Connection) -> Callable[[], None]:
    def run() -> None:
        sweep(SweepDue(due_at=datetime.now(UTC)), db)

    return run


def test_a_payment_whose_message_was_lost_is_charged_after_all(
    db: Database, owner: psycopg.Connection, tenant: Tenant, run_sweep: Callable[[], None], book_of: Ledgers
) -> None:
    payment = factories.requested(db, tenant)
    lose_messages_and_wait(owner)

    run_sweep()

    [message] = book_of.messages()
    assert (message["kind"], message["payment_id"]) == ("charge", str(payment.payment_id))


def test_what_is_young_or_still_has_its_message_is_left_alone(
    db: Database, owner: psycopg.Connection, tenant: Tenant, run_sweep: Callable[[], None], book_of: Ledgers
) -> None:
    factories.requested(db, tenant)
    wait(owner)  # its message still waits in the outbox
    young = factories.requested(db, tenant)
    owner.execute("DELETE FROM outbox WHERE ordering_key = %s", [young.payment_id])

    run_sweep()

    assert len(book_of.messages()) == 1


def test_a_payment_is_not_woken_twice_within_its_pause_and_the_pause_doubles(
    db: Database, owner: psycopg.Connection, tenant: Tenant, run_sweep: Callable[[], None], book_of: Ledgers
) -> None:
    factories.requested(db, tenant)
    lose_messages_and_wait(owner)
    run_sweep()
    owner.execute("DELETE FROM outbox")

    run_sweep()
    assert book_of.messages() == []

    owner.execute("UPDATE wake_ups SET not_before = now()")
    run_sweep()
    assert len(book_of.messages()) == 1
    pause = owner.execute("SELECT times, extract(epoch FROM not_before - now()) FROM wake_ups").fetchone()
    assert pause is not None
    assert (pause[0], 115 < pause[1] < 121) == (2, True)


def test_a_payment_with_an_open_dead_letter_waits_for_a_person(
    db: Database, owner: psycopg.Connection, tenant: Tenant, run_sweep: Callable[[], None], book_of: Ledgers
) -> None:
    payment = factories.requested(db, tenant)
    lose_messages_and_wait(owner)
    bury(owner, "charge", payment.payment_id)

    run_sweep()
    assert book_of.messages() == []

    owner.execute("UPDATE dead_letters SET state = 'resolved', closed_at = now()")
    run_sweep()
    assert len(book_of.messages()) == 1


@pytest.mark.parametrize(
    "method", ["pm_card_threeDSecure2Required", "pm_card_visa"], ids=["waits for the buyer", "is not fully booked"]
)
def test_a_payment_that_waits_with_the_buyer_or_for_its_fee_is_looked_up(
    owner: psycopg.Connection, pay: Pay, run_sweep: Callable[[], None], book_of: Ledgers, method: str
) -> None:
    payment = pay(payment_method_id=method)
    owner.execute("UPDATE charges SET balance_transaction_id = NULL, stripe_fee_minor = NULL, balance_currency = NULL")
    lose_messages_and_wait(owner)

    run_sweep()

    assert [(one["kind"], one["payment_id"]) for one in book_of.messages()] == [("lookup", str(payment.payment_id))]


def test_a_payment_at_rest_is_never_woken(
    owner: psycopg.Connection, pay: Pay, run_sweep: Callable[[], None], book_of: Ledgers
) -> None:
    for changes in ({}, {"capture": "manual"}, {"payment_method_id": "pm_card_visa_chargeDeclined"}):
        pay(**changes)
    lose_messages_and_wait(owner)

    run_sweep()

    assert book_of.messages() == []


@pytest.mark.parametrize("state", ["pending", "unmatched"])
def test_an_event_that_nobody_applied_is_offered_again(
    owner: psycopg.Connection, run_sweep: Callable[[], None], book_of: Ledgers, state: str
) -> None:
    leave_event(owner, "evt_1", state)

    run_sweep()
    run_sweep()

    assert [(one["kind"], one["event_id"]) for one in book_of.messages()] == [("webhook", "evt_1")]


def test_an_event_with_an_open_dead_letter_waits_for_a_person(
    owner: psycopg.Connection, run_sweep: Callable[[], None], book_of: Ledgers
) -> None:
    leave_event(owner, "evt_1", "pending")
    leave_event(owner, "evt_12", "pending")
    bury(owner, "webhook", None, payload='{"event_id": "evt_1", "tenant_id": null}')

    run_sweep()

    assert [one["event_id"] for one in book_of.messages()] == ["evt_12"]


def test_two_sweeps_at_once_wake_a_payment_once(
    db: Database, owner: psycopg.Connection, tenant: Tenant, run_sweep: Callable[[], None], book_of: Ledgers
) -> None:
    for _ in range(5):
        factories.requested(db, tenant)
    lose_messages_and_wait(owner)

    with ThreadPoolExecutor(3) as pool:
        for run in [pool.submit(run_sweep) for _ in range(3)]:
            run.result()

    assert len(book_of.messages()) == 5


def test_a_lookup_brings_the_payment_to_where_stripe_has_it_and_twice_changes_nothing(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, pay: Pay, book_of: Ledgers
) -> None:
    payment = pay(payment_method_id="pm_card_threeDSecure2Required", amount_minor=4200)
    stripe_control.complete_authentication(payment.payment_intent_id or "")

    for _ in range(2):
        lookup(PaymentLookupRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), db, gateway)

    assert factories.reread(db, payment.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED
    assert book_of.balances()["stripe_balance"] == 4048
    assert [fact["type"] for fact in book_of.facts()] == ["payment.requires_action", "payment.succeeded"]


def test_a_lookup_of_a_payment_without_an_intent_leaves_it_to_the_charge(
    db: Database, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    payment = factories.requested(db, tenant)

    lookup(PaymentLookupRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id), db, gateway)

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.REQUESTED
    assert stripe_control.requests() == []


def test_a_lookup_without_an_answer_changes_nothing_and_is_tried_again(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, pay: Pay
) -> None:
    payment = pay(payment_method_id="pm_card_threeDSecure2Required")
    stripe_control.add_fault("error", method="GET", path="/v1/payment_intents/*", status=503)

    with pytest.raises(TryAgain):
        lookup(PaymentLookupRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), db, gateway)

    assert factories.reread(db, payment.tenant_id, payment.payment_id).state is PaymentState.REQUIRES_ACTION


def test_a_lookup_of_nobodys_payment_is_given_up(db: Database, tenant: Tenant, gateway: Gateway) -> None:
    with pytest.raises(GiveUp, match="has no payment"):
        stranger = PaymentId(tenant.venues[0].venue_id)
        lookup(PaymentLookupRequested(tenant_id=tenant.tenant_id, payment_id=stranger), db, gateway)


def lose_messages_and_wait(owner: psycopg.Connection) -> None:
    owner.execute("DELETE FROM outbox")
    wait(owner)


def wait(owner: psycopg.Connection) -> None:
    """A minute and a bit goes by for everything that stands."""
    owner.execute("UPDATE payments SET state_since = state_since - interval '61 seconds'")
    owner.execute("UPDATE charges SET recorded_at = recorded_at - interval '61 seconds'")


def bury(owner: psycopg.Connection, kind: str, payment_id: object, payload: str = "{}") -> None:
    owner.execute(
        "INSERT INTO dead_letters (source, kind, payment_id, reason, payload, payload_sha256) "
        "VALUES ('worker', %s, %s, 'a reason', %s, sha256('x'))",
        [kind, payment_id, payload],
    )


def leave_event(owner: psycopg.Connection, event_id: str, state: str) -> None:
    owner.execute(
        "INSERT INTO webhook_inbox (event_id, event_type, livemode, payload, state, occurred_at, received_at) "
        "VALUES (%s, 'payment_intent.succeeded', false, '{}', %s, now(), now() - interval '2 minutes')",
        [event_id, state],
    )
