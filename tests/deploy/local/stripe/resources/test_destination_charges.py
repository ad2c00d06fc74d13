"""Payments that are shared as they are made: destination charges, application fees, and refunds in proportion."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.resources.balance.amounts import proportion

Pay = Callable[..., stripe.PaymentIntent]
Refund = Callable[..., stripe.Refund]
PROCESSING_FEE_MINOR = 59  # of 1000


@pytest.fixture
def share(pay: Pay, venue: str) -> Pay:
    """A destination charge of 1000 to the venue."""

    def paid(transfer: Any = None, **changes: Any) -> stripe.PaymentIntent:
        data = {"destination": venue} | (transfer or {})
        return pay(**{"capture_method": "automatic", "expand": ["latest_charge"], "transfer_data": data} | changes)

    return paid


def _net(control: EmulatorControl, account: str) -> int:
    return sum(row["net"] for row in control.summary()["balances"] if row["account"] == account)


PLATFORM = "acct_1EmulatorPlatform"


def test_with_a_fee_everything_moves_and_the_fee_comes_back(
    share: Pay, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    intent = share(application_fee_amount=123, transfer_group="order_1")
    charge = intent.latest_charge
    assert (intent.application_fee_amount, intent.transfer_data.destination) == (123, venue)  # type: ignore[union-attr]  # set
    transfer = client.v1.transfers.retrieve(charge.transfer, params={"expand": ["destination_payment"]})  # type: ignore[union-attr, arg-type]  # expanded
    fee = client.v1.application_fees.retrieve(charge.application_fee)  # type: ignore[union-attr, arg-type]  # expanded
    payment = transfer.destination_payment
    assert (transfer.amount, transfer.source_transaction, transfer.transfer_group) == (1000, charge.id, "order_1")  # type: ignore[union-attr]  # expanded
    assert (fee.amount, fee.account, fee.charge, fee.originating_transaction) == (123, venue, payment.id, charge.id)  # type: ignore[union-attr]  # expanded
    assert payment.application_fee == fee.id  # type: ignore[union-attr]  # expanded
    inside: Any = {"stripe_account": venue}
    (booked,) = client.v1.balance_transactions.list(options=inside).data
    assert (booked.amount, booked.fee, booked.net, booked.fee_details[0].type) == (1000, 123, 877, "application_fee")
    ours = [(row.type, row.net) for row in client.v1.balance_transactions.list().data[::-1]]
    assert ours == [("charge", 941), ("transfer", -1000), ("application_fee", 123)]
    assert (_net(control, PLATFORM), _net(control, venue)) == (123 - PROCESSING_FEE_MINOR, 877)
    assert control.summary()["ledger_errors"] == []


def test_with_an_amount_only_that_part_moves(
    share: Pay, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    intent = share({"amount": 700, "description": "Tickets", "metadata": {"order": "1"}})
    transfer = client.v1.transfers.retrieve(intent.latest_charge.transfer)  # type: ignore[union-attr, arg-type]  # expanded
    assert (transfer.amount, transfer.description, transfer.metadata["order"]) == (700, "Tickets", "1")
    assert transfer.transfer_group == f"group_{intent.id}" == intent.latest_charge.transfer_group  # type: ignore[union-attr]  # expanded
    assert client.v1.application_fees.list().data == []
    assert (_net(control, PLATFORM), _net(control, venue)) == (300 - PROCESSING_FEE_MINOR, 700)


def test_an_asynchronous_capture_is_shared_later_and_says_so(
    share: Pay, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    control.set_clock(1_800_000_000)
    intent = share(application_fee_amount=100, capture_method="automatic_async")
    assert "transfer" not in intent.latest_charge  # type: ignore[operator]  # expanded
    assert client.v1.transfers.list().data == []
    control.advance_clock(1)
    (told,) = client.v1.events.list(params={"type": "charge.updated"}).data
    assert set(told.to_dict()["data"]["previous_attributes"]) == {"application_fee", "balance_transaction", "transfer"}
    assert _net(control, venue) == 900


def test_a_capture_may_say_otherwise(
    share: Pay, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    held = share({"amount": 700}, capture_method="manual")
    taken = {"amount_to_capture": 500, "transfer_data": {"amount": 200}}
    client.v1.payment_intents.capture(held.id, params=taken)  # type: ignore[arg-type]  # a plain dictionary
    assert _net(control, venue) == 200
    other = share(application_fee_amount=100, capture_method="manual")
    client.v1.payment_intents.capture(other.id, params={"amount_to_capture": 50})
    assert client.v1.application_fees.list().data[0].amount == 50, "capped by what was captured"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"application_fee_amount": 1001}, "application_fee_amount"),
        ({"application_fee_amount": 1, "transfer": {"amount": 1}}, "application_fee_amount"),
        ({"application_fee_amount": 1, "transfer_data": None}, "application_fee_amount"),
        ({"transfer": {"amount": 1001}}, "transfer_data[amount]"),
        ({"transfer": {"destination": "acct_nobody"}}, "transfer_data[destination]"),
        ({"on_behalf_of": "acct_nobody"}, "on_behalf_of"),
    ],
)
def test_what_cannot_be_shared_is_refused(share: Pay, changes: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        share(**changes)
    assert refusal.value.param == param


def test_an_account_that_may_not_receive_is_no_destination(share: Pay, control: EmulatorControl, venue: str) -> None:
    control.set_capability(venue, "transfers", "inactive")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        share()
    assert refusal.value.code == "insufficient_capabilities_for_transfer"


def test_the_settlement_merchant_is_shown(share: Pay, control: EmulatorControl, venue: str) -> None:
    intent = share(on_behalf_of=venue)
    assert (intent.on_behalf_of, intent.latest_charge.on_behalf_of) == (venue, venue)  # type: ignore[union-attr]  # expanded
    control.set_capability(venue, "card_payments", "inactive")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        share(on_behalf_of=venue)
    assert refusal.value.code == "capability_not_active"


def test_a_refund_takes_transfer_and_fee_back_in_proportion(
    share: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    intent = share(application_fee_amount=100)
    everything = {"reverse_transfer": True, "refund_application_fee": True}
    made = [refund(intent.id, amount=amount, **everything) for amount in (333, 333, 334)]
    (fee,) = client.v1.application_fees.list().data
    (transfer,) = client.v1.transfers.list().data
    assert [back.amount for back in transfer.reversals.data[::-1]] == [333, 333, 334]
    assert [back.amount for back in fee.refunds.data[::-1]] == [33, 34, 33]
    assert (transfer.reversed, fee.refunded) == (True, True)
    assert made[0].transfer_reversal == transfer.reversals.data[-1].id
    assert transfer.reversals.data[-1].source_refund == made[0].id
    assert (_net(control, PLATFORM), _net(control, venue)) == (-PROCESSING_FEE_MINOR, 0)
    assert control.summary()["ledger_errors"] == []


def test_without_being_asked_the_venue_keeps_its_money(
    share: Pay, refund: Refund, control: EmulatorControl, venue: str
) -> None:
    intent = share(application_fee_amount=100)
    refund(intent.id)
    assert (_net(control, PLATFORM), _net(control, venue)) == (100 - PROCESSING_FEE_MINOR - 1000, 900)


def test_a_destination_charge_is_taken_back_below_zero(
    share: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    intent = share(payment_method="pm_card_bypassPending")
    control.pay_out(venue)
    refund(intent.id, reverse_transfer=True)
    assert client.v1.balance.retrieve(options={"stripe_account": venue}).available[0].amount == -1000


@pytest.mark.parametrize(
    ("fee", "asked", "param"),
    [
        (None, {"refund_application_fee": True, "reverse_transfer": True}, "refund_application_fee"),
        (50, {"refund_application_fee": True}, "refund_application_fee"),
    ],
)
def test_a_fee_comes_back_only_with_its_transfer(
    share: Pay, refund: Refund, fee: int | None, asked: dict[str, bool], param: str
) -> None:
    intent = share(**({} if fee is None else {"application_fee_amount": fee}))
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        refund(intent.id, **asked)
    assert refusal.value.param == param


def test_an_ordinary_charge_has_no_transfer_to_reverse(pay: Pay, refund: Refund, venue: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        refund(pay(capture_method="automatic").id, reverse_transfer=True)
    assert refusal.value.param == "reverse_transfer"


def test_a_reversal_by_hand_gives_the_fee_back_too(share: Pay, client: stripe.StripeClient) -> None:
    intent = share(application_fee_amount=99)
    reverse = client.v1.transfers.reversals.create
    for amount in (500, 500):
        reverse(intent.latest_charge.transfer, params={"amount": amount, "refund_application_fee": True})  # type: ignore[union-attr, arg-type]  # expanded
    (fee,) = client.v1.application_fees.list().data
    assert [back.amount for back in fee.refunds.data[::-1]] == [50, 49]


def test_a_direct_charge_pays_its_fee_to_the_platform(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    intent = pay(account=venue, capture_method="automatic", application_fee_amount=200)
    (fee,) = client.v1.application_fees.list(params={"charge": str(intent.latest_charge)}).data
    assert (fee.amount, fee.account, fee.originating_transaction) == (200, venue, None)
    assert (_net(control, PLATFORM), _net(control, venue)) == (200, 1000 - PROCESSING_FEE_MINOR - 200)
    inside: Any = {"stripe_account": venue}
    control.set_refunds_beyond_balance("overdraw")
    given: Any = {"payment_intent": intent.id, "amount": 500, "refund_application_fee": True}
    client.v1.refunds.create(params=given, options=inside)
    assert (_net(control, PLATFORM), _net(control, venue)) == (100, 1000 - PROCESSING_FEE_MINOR - 200 - 500 + 100)


def test_a_fee_is_refunded_by_hand(
    share: Pay, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    share(application_fee_amount=100)
    (fee,) = client.v1.application_fees.list().data
    refunds = client.v1.application_fees.refunds
    made = refunds.create(fee.id, params={"amount": 40, "metadata": {"why": "late"}})
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        refunds.create(fee.id, params={"amount": 61})
    assert refusal.value.param == "amount"
    rest = refunds.create(fee.id)
    assert (rest.amount, [one.id for one in refunds.list(fee.id).data]) == (60, [rest.id, made.id])
    labelled = refunds.update(fee.id, made.id, params={"metadata": {"why": "asked"}})
    assert labelled.metadata is not None
    assert labelled.metadata["why"] == "asked"
    assert refunds.retrieve(fee.id, made.id).amount == 40
    assert (_net(control, PLATFORM), _net(control, venue)) == (-PROCESSING_FEE_MINOR, 1000)
    kinds = [event.type for event in client.v1.events.list(params={"type": "application_fee.*"}).data[::-1]]
    assert kinds == [
        "application_fee.created",
        "application_fee.refunded",
        "application_fee.refunded",
        "application_fee.refund.updated",
    ]


@given(st.integers(0, 10**8), st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_parts_in_proportion_add_up_to_the_whole(whole: int, steps: list[int]) -> None:
    total, before, taken = sum(steps), 0, 0
    for step in steps:
        part = proportion(whole, before, before + step, total)
        assert part >= 0
        taken, before = taken + part, before + step
    assert taken == whole
