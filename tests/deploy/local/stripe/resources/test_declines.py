"""Declines and authentication: every test method ends as its page says, and leaves its traces behind."""

from collections.abc import Callable

import pytest
import stripe

from deploy.local.stripe.control import ControlRefusedError, EmulatorControl
from deploy.local.stripe.resources.payment_methods.test_methods import TEST_METHODS
from tests.deploy.local.stripe.conftest import NO_REDIRECTS

Pay = Callable[..., stripe.PaymentIntent]
DECLINES = {
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedLostCard": ("card_declined", "lost_card"),
    "pm_card_visa_chargeDeclinedStolenCard": ("card_declined", "stolen_card"),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": ("card_declined", "card_velocity_exceeded"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", None),
    "pm_card_chargeDeclinedIncorrectCvc": ("incorrect_cvc", None),
    "pm_card_chargeDeclinedProcessingError": ("processing_error", None),
    "pm_card_radarBlock": ("card_declined", "fraudulent"),
}


@pytest.mark.parametrize("method", DECLINES)
def test_a_decline_is_a_402_with_its_codes_and_the_intent(client: stripe.StripeClient, pay: Pay, method: str) -> None:
    with pytest.raises(stripe.CardError) as declined:
        pay(payment_method=method)
    error = declined.value.error
    assert declined.value.http_status == 402
    assert (declined.value.code, getattr(error, "decline_code", None)) == DECLINES[method]
    intent = client.v1.payment_intents.retrieve(error.payment_intent.id)
    charge = client.v1.charges.retrieve(str(intent.latest_charge))
    assert (intent.status, charge.status, charge.paid) == ("requires_payment_method", "failed", False)
    assert charge.balance_transaction is None
    assert charge.outcome is not None
    assert charge.outcome.type in ("issuer_declined", "blocked")


@pytest.mark.parametrize(
    "method",
    [
        name
        for name, what in TEST_METHODS.items()
        if not (what.decline or what.needs_authentication or what.kind != "card")
    ],
)
def test_the_other_cards_succeed(pay: Pay, method: str) -> None:
    assert pay(payment_method=method).status == "succeeded"


def test_after_a_decline_the_same_intent_takes_another_card(client: stripe.StripeClient, pay: Pay) -> None:
    with pytest.raises(stripe.CardError) as declined:
        pay(payment_method="pm_card_visa_chargeDeclined")
    intent_id = declined.value.error.payment_intent.id
    paid = client.v1.payment_intents.confirm(intent_id, params={"payment_method": "pm_card_visa"})
    assert paid.status == "succeeded"
    charges = client.v1.charges.list(params={"payment_intent": intent_id}).data
    assert [charge.status for charge in charges] == ["succeeded", "failed"]


def test_authentication_parks_the_intent_without_a_charge(pay: Pay) -> None:
    intent = pay(payment_method="pm_card_authenticationRequired")
    assert (intent.status, intent.latest_charge) == ("requires_action", None)
    assert intent.next_action is not None
    assert intent.next_action.type == "use_stripe_sdk"


def test_a_return_url_makes_the_action_a_redirect(pay: Pay) -> None:
    intent = pay(payment_method="pm_card_threeDSecure2Required", return_url="https://tickets.example/back")
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    assert intent.next_action.redirect_to_url.return_url == "https://tickets.example/back"


def test_the_same_card_off_session_is_declined(pay: Pay) -> None:
    with pytest.raises(stripe.CardError) as declined:
        pay(payment_method="pm_card_authenticationRequired", off_session=True)
    assert declined.value.code == "authentication_required"


@pytest.mark.parametrize(
    ("method", "outcome", "status", "error"),
    [
        ("pm_card_authenticationRequired", "succeed", "succeeded", None),
        ("pm_card_authenticationRequired", "fail", "requires_payment_method", "payment_intent_authentication_failure"),
        ("pm_card_threeDSecureRequiredChargeDeclined", "succeed", "requires_payment_method", "card_declined"),
    ],
)
def test_the_buyer_finishes_authentication(
    client: stripe.StripeClient,
    pay: Pay,
    control: EmulatorControl,
    method: str,
    outcome: str,
    status: str,
    error: str | None,
) -> None:
    intent = pay(payment_method=method)
    control.complete_authentication(intent.id, outcome)
    after = client.v1.payment_intents.retrieve(intent.id)
    assert after.status == status
    assert getattr(after.last_payment_error, "code", None) == error
    with pytest.raises(ControlRefusedError, match="not waiting"):
        control.complete_authentication(intent.id, outcome)


def test_manual_confirmation_asks_the_server_once_more(
    client: stripe.StripeClient, pay: Pay, control: EmulatorControl
) -> None:
    intent = pay(payment_method="pm_card_authenticationRequired", confirmation_method="manual")
    assert control.complete_authentication(intent.id)["status"] == "requires_confirmation"
    assert client.v1.payment_intents.confirm(intent.id).status == "succeeded"


def test_a_saved_method_belongs_to_its_customer(client: stripe.StripeClient, pay: Pay) -> None:
    customer = client.v1.customers.create(params={"email": "buyer@example.com"})
    method = client.v1.payment_methods.attach("pm_card_visa", params={"customer": customer.id})
    assert pay(payment_method=method.id, customer=customer.id).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError):
        pay(payment_method=method.id)
    listed = client.v1.payment_methods.list(params={"customer": customer.id})
    assert [found.id for found in listed.data] == [method.id]
    assert client.v1.payment_methods.detach(method.id).customer is None


def test_a_deleted_customer_cannot_pay(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create(params={"name": "Buyer"})
    client.v1.customers.delete(customer.id)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.payment_intents.create(
            params={
                "amount": 500,
                "currency": "usd",
                "customer": customer.id,
                "automatic_payment_methods": NO_REDIRECTS,
            }
        )
    assert refusal.value.param == "customer"
