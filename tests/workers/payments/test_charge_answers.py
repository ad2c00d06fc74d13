"""charge: each answer Stripe may give, and what it leaves in the book."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.process import EmulatorProcess
from messages.fees import FeePlan
from messages.ids import PaymentId
from messages.payments import ChargeRequested
from messages.verdicts import GiveUp, TryAgain, TryLater
from stripe_client.gateway import Gateway
from tests import factories
from tests.conftest import stripe_settings
from tests.workers.conftest import Ledgers
from workers.payments.charge import charge

Pay = Callable[..., Payment]
PATH = "/v1/payment_intents"


def test_a_card_that_wants_its_owner_waits_for_the_buyer(pay: Pay, book_of: Ledgers) -> None:
    payment = pay(payment_method_id="pm_card_threeDSecure2Required")

    assert payment.state is PaymentState.REQUIRES_ACTION
    assert payment.payment_intent_id is not None
    [fact] = book_of.facts()
    assert (fact["type"], fact["payment_intent_id"]) == ("payment.requires_action", payment.payment_intent_id)
    assert book_of.balances() == {}


def test_a_bank_that_takes_its_time_leaves_the_payment_processing(
    db: Database, owner: psycopg.Connection, gateway: Gateway, book_of: Ledgers
) -> None:
    tenant = factories.tenant(owner, currency="usd")
    payment = factories.requested(db, tenant, payment_method_id="pm_usBankAccount_processing")

    deliver(payment, db, gateway)

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.PROCESSING
    assert (book_of.facts(), book_of.balances()) == ([], {})


def test_a_manual_capture_is_authorized_and_books_nothing_yet(pay: Pay, book_of: Ledgers) -> None:
    payment = pay(capture="manual")

    assert payment.state is PaymentState.AUTHORIZED
    assert [fact["type"] for fact in book_of.facts()] == ["payment.authorized"]
    assert book_of.balances() == {}


def test_a_currency_without_cents_is_charged_in_whole_units(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, book_of: Ledgers
) -> None:
    tenant = factories.tenant(owner, currency="jpy", plan=FeePlan(500, 40, "jpy"))
    payment = factories.requested(db, tenant, amount_minor=8800)

    deliver(payment, db, gateway)

    assert [(effect["amount"], effect["currency"]) for effect in stripe_control.effects()] == [(8800, "jpy")]
    assert book_of.balances()["platform_fees"] == -480


@pytest.mark.parametrize(
    ("plan", "fee"),
    [(FeePlan(0, 0, "eur"), 0), (FeePlan(1250, 99, "eur"), 624), (FeePlan(10_000, 500, "eur"), 4200)],
)
def test_the_platforms_fee_follows_the_plan_of_the_venue(
    db: Database, owner: psycopg.Connection, gateway: Gateway, book_of: Ledgers, plan: FeePlan, fee: int
) -> None:
    tenant = factories.tenant(owner, plan=plan)

    deliver(factories.requested(db, tenant, amount_minor=4200), db, gateway)

    assert book_of.facts()[0]["platform_fee_minor"] == fee
    assert book_of.balances()["platform_fees"] == -fee
    assert book_of.balances()["venue_payable"] == fee - 4200


def test_a_customer_pays_as_that_customer(
    pay: Pay, gateway: Gateway, stripe_control: EmulatorControl, book_of: Ledgers
) -> None:
    customer = gateway.v1.customers.create({})

    payment = pay(customer_id=customer.id)

    assert payment.state is PaymentState.SUCCEEDED
    intent = gateway.v1.payment_intents.retrieve(payment.payment_intent_id or "")
    assert intent.customer == customer.id


@pytest.mark.parametrize(
    "changes",
    [{"payment_method_id": "pm_nobody_knows"}, {"customer_id": "cus_nobodyknows"}],
    ids=["method", "customer"],
)
def test_what_came_with_the_order_and_is_unknown_to_stripe_fails_the_payment(
    pay: Pay, book_of: Ledgers, changes: dict[str, str]
) -> None:
    payment = pay(**changes)

    assert payment.state is PaymentState.FAILED
    assert [(fact["type"], fact["reason"]) for fact in book_of.facts()] == [("payment.failed", "resource_missing")]
    assert book_of.owner.execute("SELECT outcome, decline_code FROM payment_attempts").fetchall() == [
        ("refused", "resource_missing")
    ]


@pytest.mark.parametrize(
    ("method", "reason", "another"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", True),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", True),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", True),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", True),
        ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "card_limit_exceeded", True),
        ("pm_card_radarBlock", "card_declined", False),
    ],
)
def test_a_buyer_hears_why_but_never_that_a_card_is_lost_stolen_or_suspected(
    pay: Pay, book_of: Ledgers, method: str, reason: str, another: bool
) -> None:
    assert pay(payment_method_id=method).state is PaymentState.FAILED

    [fact] = book_of.facts()
    assert (fact["reason"], fact["may_try_another_card"]) == (reason, another)


def test_a_rate_limit_spends_no_try_and_the_same_key_goes_through_later(
    db: Database, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    payment = factories.requested(db, tenant)
    stripe_control.add_fault("rate_limit", path=PATH, max_firings=3)

    with pytest.raises(TryLater, match="rate limited by Stripe: global-rate"):
        deliver(payment, db, gateway)
    stripe_control.clear_faults()
    deliver(payment, db, gateway)

    assert len(stripe_control.effects()) == 1


def test_a_key_that_stripe_refuses_makes_the_message_wait_for_a_person(
    db: Database, tenant: Tenant, stripe_server: EmulatorProcess, stripe_control: EmulatorControl
) -> None:
    payment = factories.requested(db, tenant)
    stripe_control.add_fault("error", path=PATH, status=401)

    with pytest.raises(TryLater, match="STRIPE_SECRET_KEY") as waits:
        deliver(payment, db, Gateway(stripe_settings(stripe_server.base_url)))

    assert waits.value.seconds == 300


def test_another_body_under_the_same_key_is_given_up_as_our_own_bug(
    db: Database, owner: psycopg.Connection, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    payment = factories.requested(db, tenant)
    stripe_control.add_fault("drop_after", path=PATH, max_firings=1)
    with pytest.raises(TryAgain):
        deliver(payment, db, gateway)
    owner.execute("""UPDATE calls SET request = jsonb_set(request, '{amount}', '4100')""")

    with pytest.raises(GiveUp, match="a bug of ours"):
        deliver(payment, db, gateway)

    assert len(stripe_control.effects()) == 1


def test_a_bug_in_the_request_is_given_up_and_the_call_stays_unknown(
    db: Database, owner: psycopg.Connection, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    payment = factories.requested(db, tenant)
    stripe_control.add_fault("error", path=PATH, status=400, max_firings=1)

    with pytest.raises(GiveUp):
        deliver(payment, db, gateway)

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.CHARGING


def test_an_unknown_payment_is_given_up(db: Database, tenant: Tenant, gateway: Gateway) -> None:
    nobody = ChargeRequested(tenant_id=tenant.tenant_id, payment_id=PaymentId(tenant.venues[0].venue_id))

    with pytest.raises(GiveUp, match="has no payment"):
        charge(nobody, db, gateway)


def test_two_workers_with_the_same_payment_make_one_charge(
    db: Database, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl, book_of: Ledgers
) -> None:
    payment = factories.requested(db, tenant, amount_minor=4200)
    stripe_control.add_fault("slow_execution", path=PATH, seconds=0.3)

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(deliver, payment, db, gateway) for _ in range(4)]
        errors = [run.exception() for run in runs]

    assert not [error for error in errors if not isinstance(error, TryAgain | None)]
    deliver(payment, db, gateway)
    assert [effect["amount"] for effect in stripe_control.effects()] == [4200]
    assert book_of.balances()["stripe_balance"] == 4048
    assert [fact["type"] for fact in book_of.facts()] == ["payment.succeeded"]
    assert book_of.count("charges") == 1


def deliver(payment: Payment, db: Database, gateway: Gateway) -> None:
    charge(ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), db, gateway)
