"""Early fraud warnings: decided once, by the venue's policy, and nothing twice."""

import psycopg
import pytest

from db.disputes import fraud_warnings
from db.disputes.fraud_warnings import EarlyWarning
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from stripe_client.gateway import Gateway
from tests.workers.disputes.scenario import hear
from tests.workers.ledger.scenario import balances
from tests.workers.refunds.scenario import asked, charged, given_back, message, of_payment
from workers.refunds.refund import refund


@pytest.fixture
def refunding(owner: psycopg.Connection, tenant: Tenant) -> Tenant:
    """A tenant whose venue refunds what a bank warns of."""
    owner.execute("UPDATE venues SET early_fraud_policy = 'refund'")
    return tenant


def warnings(db: Database) -> list[EarlyWarning]:
    with db.ops_transaction() as tx:
        return fraud_warnings.latest(tx)


def test_by_default_a_warning_is_recorded_and_the_payment_left(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant)
    warned = stripe_control.warn_of_fraud(payment.payment_intent_id or "", "made_with_stolen_card")

    hear(db, gateway)
    hear(db, gateway)

    [warning] = warnings(db)
    assert (warning.warning_id, warning.decision) == (warned["id"], "leave")
    assert warning.fraud_type == "made_with_stolen_card"
    assert of_payment(db, payment) == []


def test_a_venue_that_refunds_gives_everything_back_once(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    refunding: Tenant,
) -> None:
    payment = charged(db, gateway, refunding, amount_minor=4200)
    stripe_control.warn_of_fraud(payment.payment_intent_id or "")
    hear(db, gateway)
    [wanted] = of_payment(db, payment)
    refund(message(wanted), db, gateway)

    stripe_control.warn_of_fraud(payment.payment_intent_id or "")
    hear(db, gateway)

    assert (wanted.reason, wanted.source) == ("early_fraud_warning", "early_fraud_warning")
    assert given_back(stripe_control) == [4200]
    assert balances(owner)["venue_payable"] == 0
    assert sorted(warning.decision for warning in warnings(db)) == ["nothing", "refund"]


def test_a_warning_about_a_disputed_payment_does_nothing(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, refunding: Tenant
) -> None:
    payment = charged(db, gateway, refunding)
    stripe_control.dispute(payment.payment_intent_id or "", inquiry=True)
    hear(db, gateway)
    stripe_control.warn_of_fraud(payment.payment_intent_id or "")

    hear(db, gateway)

    [warning] = warnings(db)
    assert (warning.decision, "disputed" in warning.because) == ("nothing", True)
    assert of_payment(db, payment) == []


def test_a_warning_about_what_is_on_its_way_back_does_nothing(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, refunding: Tenant
) -> None:
    payment = charged(db, gateway, refunding)
    asked(db, payment)
    stripe_control.warn_of_fraud(payment.payment_intent_id or "")

    hear(db, gateway)

    [warning] = warnings(db)
    assert warning.decision == "nothing"
    assert len(of_payment(db, payment)) == 1
