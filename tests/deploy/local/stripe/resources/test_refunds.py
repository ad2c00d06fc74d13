"""Refunds: how much may go back, what it does to the charge and the balance, and how it is found."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]
Refund = Callable[..., stripe.Refund]


def test_a_whole_refund_empties_the_charge_and_the_fee_stays(pay: Pay, refund: Refund) -> None:
    intent = pay(capture_method="automatic")
    made = refund(intent.id, reason="requested_by_customer", expand=["balance_transaction", "charge"])
    booked, charge = made.balance_transaction, made.charge
    assert (made.status, made.amount, made.currency, made.id[:3]) == ("succeeded", 1000, "usd", "re_")
    assert (made.payment_intent, made.payment_method) == (intent.id, intent.payment_method)
    assert (booked.type, booked.reporting_category) == ("refund", "refund")
    assert (booked.amount, booked.fee, booked.net, booked.source) == (-1000, 0, -1000, made.id)
    assert (charge.amount_refunded, charge.refunded, charge.amount_captured) == (1000, True, 1000)


def test_parts_add_up_to_the_charge_and_no_further(pay: Pay, refund: Refund, client: stripe.StripeClient) -> None:
    intent = pay()
    refund(intent.id, amount=300)
    refund(charge=str(intent.latest_charge), amount=500)
    with pytest.raises(stripe.InvalidRequestError) as too_much:
        refund(intent.id, amount=201)
    rest = refund(intent.id)
    with pytest.raises(stripe.InvalidRequestError) as empty:
        refund(intent.id, amount=1)
    assert (too_much.value.param, too_much.value.code) == ("amount", None)
    assert rest.amount == 200
    assert empty.value.code == "charge_already_refunded"
    assert client.v1.charges.retrieve(str(intent.latest_charge)).refunded is True


def test_fifty_at_once_never_give_back_more_than_was_taken(
    pay: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    intent = pay(capture_method="automatic")

    def give_back(number: int) -> str:
        try:
            return str(refund(intent.id, amount=70, key=f"refund-{number}").status)
        except stripe.InvalidRequestError as refusal:
            return str(refusal.param)

    with ThreadPoolExecutor(25) as threads:
        outcomes = list(threads.map(give_back, range(50)))
    assert (outcomes.count("succeeded"), outcomes.count("amount")) == (14, 36)
    assert client.v1.charges.retrieve(str(intent.latest_charge)).amount_refunded == 980
    assert sum(effect["amount"] for effect in control.effects() if effect["kind"] == "refund") == 980
    assert control.summary()["ledger_errors"] == []
    assert [row["net"] for row in control.summary()["balances"]] == [941 - 980]


def test_the_same_key_gives_back_once(pay: Pay, refund: Refund, control: EmulatorControl) -> None:
    intent = pay()
    first, second = refund(intent.id, key="once", amount=100), refund(intent.id, key="once", amount=100)
    assert first.id == second.id
    assert [effect["amount"] for effect in control.effects() if effect["kind"] == "refund"] == [100]


def test_the_released_rest_of_a_partial_capture_is_not_given_back_again(
    pay: Pay, refund: Refund, client: stripe.StripeClient
) -> None:
    held = pay(capture_method="manual")
    client.v1.payment_intents.capture(held.id, params={"amount_to_capture": 600})
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        refund(held.id, amount=601)
    made = refund(held.id, expand=["charge"])
    assert refusal.value.param == "amount"
    assert (made.amount, made.charge.amount_refunded, made.charge.refunded) == (600, 1000, True)


def test_what_was_not_captured_is_not_refunded(pay: Pay, refund: Refund) -> None:
    held = pay(capture_method="manual")
    with pytest.raises(stripe.InvalidRequestError) as by_intent:
        refund(held.id)
    with pytest.raises(stripe.InvalidRequestError) as by_charge:
        refund(charge=str(held.latest_charge))
    assert by_intent.value.code == "payment_intent_unexpected_state"
    assert by_charge.value.code == "charge_not_refundable"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, "payment_intent"),
        ({"charge": "ch_1", "payment_intent": "pi_1"}, "payment_intent"),
        ({"charge": "ch_unknown"}, "charge"),
        ({"payment_intent": "pi_unknown"}, "payment_intent"),
        ({"payment_intent": "pi_1", "amount": 0}, "amount"),
        ({"payment_intent": "pi_1", "reason": "event_cancelled"}, "reason"),
    ],
)
def test_what_cannot_be_read_is_refused(refund: Refund, params: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        refund(**params)
    assert refusal.value.param == param


def test_a_refund_and_its_charge_tell_of_it_also_of_a_part(
    pay: Pay, refund: Refund, client: stripe.StripeClient
) -> None:
    intent = pay(capture_method="automatic")
    made = refund(intent.id, amount=10, key="cause")
    created, refunded = client.v1.events.list(params={"limit": 2}).data[::-1]
    assert (created.type, refunded.type) == ("refund.created", "charge.refunded")
    assert created.to_dict()["data"]["object"]["id"] == made.id
    assert refunded.to_dict()["data"]["object"]["amount_refunded"] == 10
    assert {event.request.idempotency_key for event in (created, refunded) if event.request} == {"cause"}


def test_refunds_are_listed_by_charge_intent_and_time(
    pay: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    control.set_clock(1_800_000_000)
    intent, other = pay(), pay()
    first = refund(intent.id, amount=10)
    control.advance_clock(10)
    second, third = refund(intent.id, amount=20), refund(other.id)

    def listed(**params: Any) -> list[str]:
        return [found.id for found in client.v1.refunds.list(params={**params}).data]

    assert listed(payment_intent=intent.id) == listed(charge=str(intent.latest_charge)) == [second.id, first.id]
    assert listed(created={"gte": 1_800_000_010}) == [third.id, second.id]
    assert listed(payment_intent="pi_unknown") == listed(payment_intent=intent.id, charge="ch_other") == []
    charge = client.v1.charges.retrieve(str(intent.latest_charge), params={"expand": ["refunds.data.payment_intent"]})
    assert charge.refunds is not None
    assert [found.payment_intent.id for found in charge.refunds.data] == [intent.id, intent.id]  # type: ignore[union-attr]  # expanded


def test_the_metadata_of_a_refund_is_its_own_and_can_be_changed(
    pay: Pay, refund: Refund, client: stripe.StripeClient
) -> None:
    made = refund(pay(metadata={"order": "1"}).id, metadata={"refund_id": "r-1", "note": "rain"})
    changed = client.v1.refunds.update(made.id, params={"metadata": {"note": "", "seen": "yes"}})
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"refund_id": "r-1", "seen": "yes"}
    assert [event.type for event in client.v1.events.list(params={"limit": 2}).data] == [
        "charge.refund.updated",
        "refund.updated",
    ]
