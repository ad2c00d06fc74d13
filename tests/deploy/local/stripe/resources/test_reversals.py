"""Reversals: within the transfer, within what the connected account has, and both sides of the ledger."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from deploy.local.stripe.control import ControlRefusedError, EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]
DAY_SECONDS = 24 * 3600


@pytest.fixture
def sent(client: stripe.StripeClient, control: EmulatorControl, venue: str) -> stripe.Transfer:
    """1000 to the venue, at once available there; 500 are left on the platform."""
    control.adjust_balance(1500)
    return client.v1.transfers.create(params={"amount": 1000, "currency": "usd", "destination": venue})


def _available(client: stripe.StripeClient, account: str | None = None) -> int:
    options: Any = {} if account is None else {"stripe_account": account}
    return client.v1.balance.retrieve(options=options).available[0].amount


def test_a_reversal_brings_money_back_on_both_sides(
    sent: stripe.Transfer, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    reversals = client.v1.transfers.reversals
    made = reversals.create(sent.id, params={"amount": 300, "metadata": {"refund": "9"}})
    assert (_available(client), _available(client, venue)) == (800, 700)
    found = client.v1.transfers.retrieve(sent.id)
    assert (found.amount_reversed, found.reversed, [one.id for one in found.reversals.data]) == (300, False, [made.id])
    inside: Any = {"stripe_account": venue}
    back = client.v1.refunds.retrieve(str(made.destination_payment_refund), options=inside)
    assert (back.amount, back.source_transfer_reversal, back.charge) == (300, made.id, sent.destination_payment)
    rows = client.v1.balance_transactions.list(params={"source": made.id}).data
    rows += client.v1.balance_transactions.list(params={"source": back.id}, options=inside).data
    assert [(row.type, row.net) for row in rows] == [("transfer_refund", 300), ("payment_refund", -300)]
    whole = reversals.create(sent.id)
    assert (whole.amount, client.v1.transfers.retrieve(sent.id).reversed) == (700, True)
    assert [one.id for one in reversals.list(sent.id).data] == [whole.id, made.id]
    assert len(client.v1.events.list(params={"type": "transfer.reversed"}).data) == 2
    told = [(effect["kind"], effect["amount"]) for effect in control.effects()]
    assert told == [("transfer", 1000), ("transfer_reversal", 300), ("transfer_reversal", 700)]
    assert control.summary()["ledger_errors"] == []


def test_no_bank_fails_a_reversal_and_no_buyer_disputes_a_transfer(
    sent: stripe.Transfer, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    made = client.v1.transfers.reversals.create(sent.id, params={"amount": 300})
    with pytest.raises(ControlRefusedError, match="succeeded"):
        control.finish_refund(str(made.destination_payment_refund), "fail", account=venue)
    with pytest.raises(ControlRefusedError, match="no such paid charge"):
        control.dispute(str(sent.destination_payment), account=venue)
    given: Any = {"charge": sent.destination_payment}
    with pytest.raises(stripe.APIError) as refusal:
        client.v1.refunds.create(params=given, options={"stripe_account": venue})
    assert refusal.value.http_status == 501


def test_reversals_stay_within_their_transfer(sent: stripe.Transfer, client: stripe.StripeClient) -> None:
    reversals = client.v1.transfers.reversals
    reversals.create(sent.id, params={"amount": 600})
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        reversals.create(sent.id, params={"amount": 401})
    assert refusal.value.param == "amount"
    reversals.create(sent.id)
    with pytest.raises(stripe.InvalidRequestError, match="already fully reversed"):
        reversals.create(sent.id)


def test_an_account_that_has_been_paid_out_gives_nothing_back(
    sent: stripe.Transfer, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    control.pay_out(venue)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.transfers.reversals.create(sent.id, params={"amount": 1})
    assert (refusal.value.http_status, refusal.value.code) == (400, "balance_insufficient")
    assert client.v1.transfers.retrieve(sent.id).amount_reversed == 0
    control.adjust_balance(250, account=venue)
    assert client.v1.transfers.reversals.create(sent.id, params={"amount": 250}).amount == 250


def test_an_account_with_reserves_goes_below_zero(
    sent: stripe.Transfer, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    control.pay_out(venue)
    control.account(venue, reserves=True)
    client.v1.transfers.reversals.create(sent.id)
    assert (_available(client), _available(client, venue)) == (1500, -1000)


def test_what_is_still_on_its_way_can_be_taken_back_unless_it_is_owed(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    params: Any = {"amount": 400, "currency": "usd", "destination": venue}
    charge = pay(capture_method="automatic").latest_charge
    first = client.v1.transfers.create(params={**params, "source_transaction": charge})
    second = client.v1.transfers.create(params={**params, "source_transaction": charge})
    client.v1.transfers.reversals.create(first.id)
    assert client.v1.balance.retrieve(options={"stripe_account": venue}).pending[0].amount == 400
    control.adjust_balance(-300, account=venue)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.transfers.reversals.create(second.id)
    assert refusal.value.code == "balance_insufficient"
    assert client.v1.transfers.reversals.create(second.id, params={"amount": 100}).amount == 100
    control.advance_clock(2 * DAY_SECONDS)
    assert _available(client, venue) == 0


def test_a_reversal_is_found_and_labelled(sent: stripe.Transfer, client: stripe.StripeClient) -> None:
    reversals = client.v1.transfers.reversals
    made = reversals.create(sent.id, params={"amount": 5})
    reversals.update(sent.id, made.id, params={"metadata": {"seen": "1"}})
    shown = reversals.retrieve(sent.id, made.id, params={"expand": ["transfer", "destination_payment_refund"]})
    assert shown.metadata is not None
    assert shown.metadata["seen"] == "1"
    assert shown.transfer.reversals.data[0].metadata["seen"] == "1"  # type: ignore[union-attr, index]  # expanded
    assert shown.destination_payment_refund.amount == 5  # type: ignore[union-attr]  # expanded
    with pytest.raises(stripe.InvalidRequestError) as missing:
        reversals.retrieve(sent.id, "trr_nothing")
    assert missing.value.http_status == 404


def test_a_reversal_of_another_account_s_transfer_is_not_found(
    sent: stripe.Transfer, client: stripe.StripeClient, venue: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as foreign:
        client.v1.transfers.reversals.create(sent.id, options={"stripe_account": venue})
    assert foreign.value.http_status == 404
