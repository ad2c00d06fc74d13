"""Capture, fees, balance transactions and the balance they add up to."""

from collections.abc import Callable

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.resources.balance.amounts import processing_fee

Pay = Callable[..., stripe.PaymentIntent]
WEEK_SECONDS = 7 * 24 * 3600


@pytest.mark.parametrize(("amount", "fee"), [(1000, 59), (50, 31), (1017, 59), (99_999_999, 2_900_030), (10_000, 320)])
def test_the_fee_is_2_9_percent_and_30_rounded_half_up(amount: int, fee: int) -> None:
    assert processing_fee(amount, 290, 30) == fee


@pytest.mark.parametrize("currency", ["usd", "jpy"])
def test_an_automatic_capture_is_booked_at_once(pay: Pay, client: stripe.StripeClient, currency: str) -> None:
    intent = pay(capture_method="automatic", currency=currency, expand=["latest_charge.balance_transaction"])
    booked = intent.latest_charge.balance_transaction
    assert (booked.amount, booked.fee, booked.net, booked.currency) == (1000, 59, 941, currency)
    assert (booked.status, booked.type, booked.reporting_category) == ("pending", "charge", "charge")
    assert client.v1.balance.retrieve().pending[0].amount == 941


def test_an_async_capture_is_booked_later_and_says_so(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    control.set_clock(1_800_000_000)
    intent = pay(expand=["latest_charge"])
    assert intent.latest_charge.balance_transaction is None
    control.advance_clock(1)
    charge = client.v1.charges.retrieve(intent.latest_charge.id)
    assert charge.balance_transaction is not None
    latest = client.v1.events.list().data[0]
    assert latest.type == "charge.updated"
    assert latest.to_dict()["data"]["previous_attributes"] == {"balance_transaction": None}
    assert latest.request is not None
    assert latest.request.id is None


def test_money_becomes_available_by_the_clock(pay: Pay, client: stripe.StripeClient, control: EmulatorControl) -> None:
    pay(capture_method="automatic")
    pay(capture_method="automatic", payment_method="pm_card_bypassPending")
    before = client.v1.balance.retrieve()
    control.advance_clock(3 * 24 * 3600)
    after = client.v1.balance.retrieve()
    assert (before.available[0].amount, before.pending[0].amount) == (941, 941)
    assert (after.available[0].amount, after.pending[0].amount) == (1882, 0)
    listed = client.v1.balance_transactions.list(params={"type": "charge"}).data
    assert {row.status for row in listed} == {"available"}


def test_a_source_finds_its_balance_transactions(pay: Pay, client: stripe.StripeClient) -> None:
    pay(capture_method="automatic")
    intent = pay(capture_method="automatic", amount=2000)
    found = client.v1.balance_transactions.list(params={"source": str(intent.latest_charge), "expand": ["data.source"]})
    assert [row.amount for row in found.data] == [2000]
    assert found.data[0].source.id == intent.latest_charge


def test_a_partial_capture_releases_the_rest(pay: Pay, client: stripe.StripeClient, control: EmulatorControl) -> None:
    held = pay(capture_method="manual")
    assert (held.amount_capturable, held.amount_received) == (1000, 0)
    taken = client.v1.payment_intents.capture(held.id, params={"amount_to_capture": 600, "expand": ["latest_charge"]})
    charge = taken.latest_charge
    assert (taken.status, taken.amount_received, taken.amount_capturable) == ("succeeded", 600, 0)
    assert (charge.amount_captured, charge.amount_refunded, charge.captured) == (600, 400, True)
    assert [(e["kind"], e["amount"]) for e in control.effects()] == [("authorization", 1000), ("charge", 600)]
    assert client.v1.balance_transactions.list().data[0].amount == 600


def test_more_than_authorised_is_not_captured(pay: Pay, client: stripe.StripeClient) -> None:
    held = pay(capture_method="manual")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.payment_intents.capture(held.id, params={"amount_to_capture": 1001})
    assert refusal.value.param == "amount_to_capture"
    assert client.v1.payment_intents.retrieve(held.id).status == "requires_capture"


def test_cancel_releases_a_held_amount(pay: Pay, client: stripe.StripeClient) -> None:
    held = pay(capture_method="manual")
    canceled = client.v1.payment_intents.cancel(
        held.id, params={"cancellation_reason": "abandoned", "expand": ["latest_charge"]}
    )
    assert (canceled.status, canceled.cancellation_reason, canceled.amount_capturable) == ("canceled", "abandoned", 0)
    assert canceled.latest_charge.refunded is True
    assert client.v1.balance_transactions.list().data == []


def test_an_uncaptured_intent_is_canceled_after_a_week(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    forgotten, captured = pay(capture_method="manual"), pay(capture_method="manual")
    client.v1.payment_intents.capture(captured.id)
    control.advance_clock(WEEK_SECONDS + 1)
    assert client.v1.payment_intents.retrieve(forgotten.id).cancellation_reason == "automatic"
    assert client.v1.payment_intents.retrieve(captured.id).status == "succeeded"


def test_the_ledger_adds_up_per_account_and_currency(pay: Pay, control: EmulatorControl, venue: str) -> None:
    for account in (None, venue):
        for currency in ("usd", "eur", "jpy"):
            pay(account=account, currency=currency, capture_method="automatic")
    summary = control.summary()
    assert summary["ledger_errors"] == []
    assert len(summary["balances"]) == 6
    assert {row["net"] for row in summary["balances"]} == {941}


def test_an_authorisation_says_until_when_it_can_be_captured(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    control.set_clock(1_800_000_000)
    held, taken = pay(capture_method="manual", expand=["latest_charge"]), pay(expand=["latest_charge"])
    assert held.latest_charge.payment_method_details.card.capture_before == 1_800_000_000 + WEEK_SECONDS  # type: ignore[union-attr]  # expanded
    assert "capture_before" not in taken.latest_charge.payment_method_details.card  # type: ignore[union-attr, operator]  # expanded
    control.advance_clock(WEEK_SECONDS)
    assert client.v1.payment_intents.retrieve(held.id).status == "canceled"
