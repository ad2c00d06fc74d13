"""cancel and capture: the wish is kept until Stripe has carried it out, whatever comes in between."""

import psycopg
import pytest

from db.payments.states import PaymentState
from db.refunds.states import RefundState
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested
from messages.verdicts import TryAgain
from outbox.requests.refusals import RefusedError
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.ledger.scenario import balances, events_told
from tests.workers.refunds.scenario import charged, given_back, message, of_payment, wish_to_cancel, wish_to_capture
from workers.payments.cancel import cancel
from workers.payments.capture import capture
from workers.payments.charge import charge
from workers.refunds.refund import refund


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


def state(db: Database, payment: object) -> PaymentState:
    return factories.reread(db, payment.tenant_id, payment.payment_id).state  # type: ignore[attr-defined]


def test_what_was_never_sent_is_canceled_without_stripe(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = factories.requested(db, tenant)

    cancel(wish_to_cancel(db, payment), db, gateway)
    charge(ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id), db, gateway)

    assert state(db, payment) is PaymentState.CANCELED
    assert stripe_control.effects() == []
    assert events_told(owner) == ["payment.failed"]


@pytest.mark.parametrize(
    "order", [{"capture": "manual"}, {"payment_method_id": "pm_card_threeDSecure2Required"},
              {"payment_method_id": "pm_card_visa_chargeDeclined"}],
    ids=["authorized", "waiting-for-the-buyer", "declined"],
)  # fmt: skip
def test_an_open_intent_is_canceled_at_stripe_and_a_second_delivery_changes_nothing(
    db: Database, gateway: Gateway, tenant: Tenant, order: dict[str, object]
) -> None:
    payment = charged(db, gateway, tenant, **order)
    wish = wish_to_cancel(db, payment)

    cancel(wish, db, gateway)
    cancel(wish, db, gateway)

    assert state(db, payment) is PaymentState.CANCELED
    assert gateway.v1.payment_intents.retrieve(payment.payment_intent_id).status == "canceled"


def test_an_answer_to_a_cancel_that_is_lost_is_read_instead(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, capture="manual")
    stripe_control.add_fault("drop_after", path=f"/v1/payment_intents/{payment.payment_intent_id}/cancel")

    cancel(wish_to_cancel(db, payment), db, gateway)

    assert state(db, payment) is PaymentState.CANCELED


def test_a_charge_that_succeeds_after_the_wish_to_cancel_is_refunded_by_itself_and_said_so(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = factories.requested(db, tenant)
    to_charge = ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id)
    stripe_control.add_fault("drop_after", path="/v1/payment_intents", max_firings=1)
    with pytest.raises(TryAgain):
        charge(to_charge, db, gateway)

    cancel(wish_to_cancel(db, factories.reread(db, tenant.tenant_id, payment.payment_id)), db, gateway)
    assert state(db, payment) is PaymentState.CHARGING
    charge(to_charge, db, gateway)
    (late,) = of_payment(db, payment)
    refund(message(late), db, gateway)

    assert late.source == "late_success"
    assert of_payment(db, payment)[0].state is RefundState.SUCCEEDED
    assert given_back(stripe_control) == [4200]
    assert events_told(owner) == ["payment.succeeded_late", "refund.succeeded"]


def test_a_capture_takes_what_was_asked_for_and_releases_the_rest(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, capture="manual", amount_minor=4200)
    assert payment.capture_before is not None
    wish = wish_to_capture(db, payment, 3000)

    capture(wish, db, gateway)
    capture(wish, db, gateway)

    assert state(db, payment) is PaymentState.SUCCEEDED
    assert balances(owner)["venue_payable"] == -(3000 - 200)


def test_a_capture_whose_answer_is_lost_is_sent_again_under_its_key(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, capture="manual")
    wish = wish_to_capture(db, payment)
    stripe_control.add_fault(
        "drop_after", path=f"/v1/payment_intents/{payment.payment_intent_id}/capture", max_firings=1
    )

    with pytest.raises(TryAgain):
        capture(wish, db, gateway)
    capture(wish, db, gateway)

    assert state(db, payment) is PaymentState.SUCCEEDED
    assert [effect["kind"] for effect in stripe_control.effects()].count("charge") == 1


def test_an_authorisation_that_expired_before_its_capture_is_closed(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, capture="manual")
    wish = wish_to_capture(db, payment)
    stripe_control.advance_clock(8 * 86_400)

    with pytest.raises(TryAgain):  # Stripe refuses it, so it is read at the next try
        capture(wish, db, gateway)
    capture(wish, db, gateway)

    assert state(db, payment) is PaymentState.CANCELED


def test_a_capture_of_another_amount_is_refused(db: Database, gateway: Gateway, tenant: Tenant) -> None:
    payment = charged(db, gateway, tenant, capture="manual")
    wish_to_capture(db, payment, 3000)

    with pytest.raises(RefusedError, match="another amount"):
        wish_to_capture(db, payment, 2000)
