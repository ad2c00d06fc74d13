"""The table of PaymentIntent moves: what each call does in each status, and what it refuses."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl
from tests.deploy.local.stripe.conftest import NO_REDIRECTS

Pay = Callable[..., stripe.PaymentIntent]
STATES: dict[str, dict[str, Any]] = {
    "requires_payment_method": {"confirm": False, "payment_method": None},
    "requires_confirmation": {"confirm": False},
    "requires_action": {"payment_method": "pm_card_threeDSecure2Required"},
    "processing": {"payment_method": "pm_usBankAccount_processing"},
    "requires_capture": {"capture_method": "manual"},
    "succeeded": {},
}
ALLOWED = {
    "confirm": {"requires_confirmation", "requires_action"},  # and requires_payment_method, with a method
    "capture": {"requires_capture"},
    "cancel": {"requires_payment_method", "requires_confirmation", "requires_action", "requires_capture"},
}


@pytest.mark.parametrize("status", STATES)
def test_each_status_can_be_reached(pay: Pay, status: str) -> None:
    assert _in_status(pay, status).status == status


@pytest.mark.parametrize("status", [*STATES, "canceled"])
@pytest.mark.parametrize("verb", ALLOWED)
def test_each_move_is_allowed_only_where_the_table_says(
    client: stripe.StripeClient, pay: Pay, status: str, verb: str
) -> None:
    intent = _in_status(pay, "requires_confirmation" if status == "canceled" else status)
    if status == "canceled":
        client.v1.payment_intents.cancel(intent.id)
    move = getattr(client.v1.payment_intents, verb)
    if status in ALLOWED[verb]:
        assert move(intent.id).id == intent.id
        return
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        move(intent.id)
    assert refusal.value.code == "payment_intent_unexpected_state"
    assert refusal.value.error.payment_intent.id == intent.id
    assert client.v1.payment_intents.retrieve(intent.id).status == status


def _in_status(pay: Pay, status: str) -> stripe.PaymentIntent:
    intent = pay(**STATES[status])
    assert intent.status == status
    return intent


def test_create_then_confirm_is_the_same_as_both_at_once(client: stripe.StripeClient) -> None:
    created = client.v1.payment_intents.create(
        params={"amount": 1000, "currency": "eur", "automatic_payment_methods": NO_REDIRECTS}
    )
    confirmed = client.v1.payment_intents.confirm(created.id, params={"payment_method": "pm_card_mastercard"})
    assert (created.status, confirmed.status) == ("requires_payment_method", "succeeded")
    assert confirmed.amount_received == 1000


def test_update_changes_money_only_while_open(client: stripe.StripeClient, pay: Pay) -> None:
    intent = pay(confirm=False)
    assert client.v1.payment_intents.update(intent.id, params={"amount": 2000}).amount == 2000
    client.v1.payment_intents.confirm(intent.id)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.update(intent.id, params={"amount": 3000})
    labelled = client.v1.payment_intents.update(intent.id, params={"metadata": {"seen": "yes"}})
    assert labelled.metadata["seen"] == "yes"


def test_metadata_is_merged_and_an_empty_value_removes_its_key(client: stripe.StripeClient, pay: Pay) -> None:
    intent = pay(metadata={"order": "1", "seat": "A"})
    changed = client.v1.payment_intents.update(intent.id, params={"metadata": {"seat": "", "row": "2"}})
    assert changed.metadata.to_dict() == {"order": "1", "row": "2"}


def test_the_charge_carries_the_labels_of_its_intent(client: stripe.StripeClient, pay: Pay) -> None:
    intent = pay(metadata={"order": "1"}, transfer_group="order-1", description="Row 2")
    charge = client.v1.charges.retrieve(str(intent.latest_charge))
    assert charge.metadata["order"] == "1"
    assert (charge.transfer_group, charge.description, charge.payment_intent) == ("order-1", "Row 2", intent.id)


def test_a_processing_debit_settles_by_the_clock(
    client: stripe.StripeClient, pay: Pay, control: EmulatorControl
) -> None:
    good = pay(payment_method="pm_usBankAccount_success")
    bad = pay(payment_method="pm_usBankAccount_insufficientFunds")
    assert (good.status, bad.status) == ("processing", "processing")
    assert str(good.latest_charge).startswith("py_")
    control.advance_clock(200)
    assert client.v1.payment_intents.retrieve(good.id).status == "succeeded"
    failed = client.v1.payment_intents.retrieve(bad.id)
    assert failed.status == "requires_payment_method"
    assert failed.last_payment_error is not None


@pytest.mark.parametrize(("outcome", "status"), [("succeed", "succeeded"), ("fail", "requires_payment_method")])
def test_a_debit_that_waits_settles_when_told(pay: Pay, control: EmulatorControl, outcome: str, status: str) -> None:
    intent = pay(payment_method="pm_usBankAccount_processing")
    control.advance_clock(10 * 24 * 3600)
    assert control.settle(intent.id, outcome)["status"] == status
