"""What a connected account does with its money: payouts and those that fail, balances below zero, and top-ups."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]
DAY_SECONDS = 24 * 3600


@pytest.fixture
def inside(venue: str) -> Any:
    return {"stripe_account": venue}


def _available(client: stripe.StripeClient, options: Any) -> int:
    return client.v1.balance.retrieve(options=options).available[0].amount


def test_a_venue_pays_out_by_hand_what_was_sent_to_it(
    client: stripe.StripeClient, control: EmulatorControl, venue: str, inside: Any
) -> None:
    control.adjust_balance(1000)
    client.v1.transfers.create(params={"amount": 800, "currency": "usd", "destination": venue})
    made = client.v1.payouts.create(params={"amount": 500, "currency": "usd"}, options=inside)
    assert (_available(client, inside), _available(client, {})) == (300, 200)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.payouts.create(params={"amount": 301, "currency": "usd"}, options=inside)
    assert refusal.value.code == "balance_insufficient"
    with pytest.raises(stripe.InvalidRequestError) as foreign:
        client.v1.payouts.retrieve(made.id)
    assert foreign.value.http_status == 404
    control.advance_clock(3 * DAY_SECONDS)
    assert client.v1.payouts.retrieve(made.id, options=inside).status == "paid"
    events = client.v1.events.list(params={"type": "payout.*"}, options=inside).data[::-1]
    assert [event.type for event in events] == ["payout.created", "payout.updated", "payout.paid"]
    assert {event.account for event in events} == {venue}


def test_a_payout_that_was_paid_comes_back_to_the_venue(
    client: stripe.StripeClient, control: EmulatorControl, venue: str, inside: Any
) -> None:
    control.adjust_balance(700, account=venue)
    ((payout,),) = control.pay_out_all().values()
    control.finish_payout(payout["id"], "paid", account=venue)
    control.finish_payout(payout["id"], "failed", account=venue, code="account_closed")
    failed = client.v1.payouts.retrieve(payout["id"], options=inside)
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    assert _available(client, inside) == 700
    told = [event.type for event in client.v1.events.list(params={"type": "payout.*"}, options=inside).data[::-1]]
    assert told == ["payout.created", "payout.paid", "payout.failed"]


def test_the_schedule_pays_out_every_account_that_may_be_paid(
    client: stripe.StripeClient, control: EmulatorControl
) -> None:
    for name, enabled in (("acct_a", True), ("acct_b", False), ("acct_c", True), ("acct_empty", True)):
        control.account(name, payouts_enabled=enabled)
    for name in ("acct_a", "acct_b", "acct_c"):
        control.adjust_balance(100, account=name)
    paid = control.pay_out_all()
    assert {account: [payout["amount"] for payout in made] for account, made in paid.items()} == {
        "acct_a": [100],
        "acct_c": [100],
    }
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.payouts.create(params={"amount": 1, "currency": "usd"}, options={"stripe_account": "acct_b"})
    assert refusal.value.code == "payouts_not_allowed"


def test_what_comes_next_fills_the_hole_of_a_balance_below_zero(
    client: stripe.StripeClient, control: EmulatorControl, venue: str, inside: Any
) -> None:
    control.adjust_balance(1000)
    control.adjust_balance(-300, account=venue)
    client.v1.transfers.create(params={"amount": 200, "currency": "usd", "destination": venue})
    assert _available(client, inside) == -100
    assert control.pay_out(venue) == []
    client.v1.transfers.create(params={"amount": 150, "currency": "usd", "destination": venue})
    assert [payout["amount"] for payout in control.pay_out(venue)] == [50]


def test_a_venue_s_own_refund_and_dispute_take_its_balance_below_zero(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl, venue: str, inside: Any
) -> None:
    control.set_refunds_beyond_balance("overdraw")
    intent = pay(account=venue, capture_method="automatic", payment_method="pm_card_bypassPending")
    client.v1.refunds.create(params={"payment_intent": intent.id}, options=inside)
    assert _available(client, inside) == -59
    other = pay(account=venue, capture_method="automatic", payment_method="pm_card_bypassPending")
    control.dispute(other.id, account=venue)
    assert _available(client, inside) == -59 - 59 - 1500


def test_a_transfer_that_waits_for_balance_goes_on_after_a_top_up(
    client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    params: Any = {"amount": 400, "currency": "usd", "destination": venue}
    topup = client.v1.topups.create(params={"amount": 500, "currency": "usd", "metadata": {"why": "royalties"}})
    assert (topup.status, topup.balance_transaction) == ("pending", None)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.transfers.create(params=params)
    assert refusal.value.code == "balance_insufficient"
    control.advance_clock(60)
    arrived = client.v1.topups.retrieve(topup.id, params={"expand": ["balance_transaction"]})
    assert (arrived.status, arrived.balance_transaction.net) == ("succeeded", 500)  # type: ignore[union-attr]  # expanded
    assert client.v1.transfers.create(params=params).amount == 400
    told = [event.type for event in client.v1.events.list(params={"type": "topup.*"}).data[::-1]]
    assert told == ["topup.created", "topup.succeeded"]


def test_only_a_pending_top_up_is_canceled(client: stripe.StripeClient, control: EmulatorControl) -> None:
    early, late = (client.v1.topups.create(params={"amount": 500, "currency": "usd"}) for _ in range(2))
    assert client.v1.topups.cancel(early.id).status == "canceled"
    control.advance_clock(60)
    with pytest.raises(stripe.InvalidRequestError, match="succeeded"):
        client.v1.topups.cancel(late.id)
    labelled = client.v1.topups.update(late.id, params={"description": "For November"})
    assert labelled.description == "For November"
    assert [one.id for one in client.v1.topups.list(params={"status": "succeeded"}).data] == [late.id]
    assert control.summary()["balances"] == [{"account": "acct_1EmulatorPlatform", "currency": "usd", "net": 500}]
