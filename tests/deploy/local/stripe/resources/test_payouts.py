"""Payouts: by hand and by schedule, what they are made of, and money that comes back from the bank."""

from collections.abc import Callable

import pytest
import stripe

from deploy.local.stripe.control import ControlRefusedError, EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]
DAY_SECONDS = 24 * 3600


@pytest.fixture
def earn(pay: Pay) -> Callable[..., stripe.PaymentIntent]:
    """A charge whose money is available at once: of 1000 there are 941 left."""

    def paid(**changes: object) -> stripe.PaymentIntent:
        return pay(payment_method="pm_card_bypassPending", capture_method="automatic", **changes)

    return paid


def _available(client: stripe.StripeClient) -> int:
    return client.v1.balance.retrieve().available[0].amount


def _told(client: stripe.StripeClient) -> list[str]:
    return [event.type for event in client.v1.events.list(params={"type": "payout.*"}).data[::-1]]


def test_a_payout_by_hand_takes_what_it_asks_for_and_arrives(
    earn: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    earn()
    made = client.v1.payouts.create(
        params={"amount": 900, "currency": "usd", "metadata": {"week": "1"}, "expand": ["balance_transaction"]}
    )
    booked = made.balance_transaction
    assert (made.status, made.automatic, made.reconciliation_status) == ("pending", False, "not_applicable")
    assert (booked.type, booked.reporting_category, booked.net, booked.source) == ("payout", "payout", -900, made.id)  # type: ignore[union-attr]  # expanded
    assert _available(client) == 41
    control.advance_clock(3600)
    assert client.v1.payouts.retrieve(made.id).status == "in_transit"
    control.advance_clock(2 * DAY_SECONDS)
    assert client.v1.payouts.retrieve(made.id).status == "paid"
    assert _told(client) == ["payout.created", "payout.updated", "payout.paid"]
    assert [(e["kind"], e["amount"]) for e in control.effects()] == [("charge", 1000), ("payout", 900)]


def test_no_payout_takes_more_than_is_available(earn: Pay, pay: Pay, client: stripe.StripeClient) -> None:
    earn()
    pay(capture_method="automatic")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.payouts.create(params={"amount": 942, "currency": "usd"})
    assert refusal.value.code == "balance_insufficient"
    assert client.v1.payouts.create(params={"amount": 941, "currency": "usd"}).amount == 941


@pytest.mark.parametrize("params", [{"amount": 0}, {"currency": "xyz"}, {"statement_descriptor": "x" * 23}])
def test_what_cannot_be_read_is_refused(client: stripe.StripeClient, params: dict[str, object]) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.raw_request("post", "/v1/payouts", **({"amount": 100, "currency": "usd"} | params))
    assert refusal.value.param == next(iter(params))


def test_only_a_pending_payout_by_hand_is_canceled(
    earn: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    earn()
    early, late = (client.v1.payouts.create(params={"amount": 100, "currency": "usd"}) for _ in range(2))
    canceled = client.v1.payouts.cancel(early.id, params={"expand": ["failure_balance_transaction"]})
    booked = canceled.failure_balance_transaction
    assert (canceled.status, booked.type, booked.reporting_category, booked.net) == (  # type: ignore[union-attr]  # expanded
        "canceled",
        "payout_cancel",
        "payout_reversal",
        100,
    )
    (automatic,) = control.pay_out()
    control.advance_clock(3600)
    for payout in (early.id, late.id, automatic["id"]):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.payouts.cancel(payout)


def test_an_automatic_payout_takes_everything_and_tells_what_it_was(
    earn: Pay, pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    charged = earn()
    refund = client.v1.refunds.create(params={"payment_intent": charged.id, "amount": 300})
    by_hand = client.v1.payouts.create(params={"amount": 41, "currency": "usd"})
    pay(capture_method="automatic")  # not available yet, so not in it
    (payout,) = control.pay_out()
    assert (payout["amount"], payout["automatic"], payout["reconciliation_status"]) == (600, True, "in_progress")
    assert client.v1.balance_transactions.list(params={"payout": payout["id"]}).data == []
    control.advance_clock(60)
    done = client.v1.payouts.retrieve(payout["id"])
    contents = client.v1.balance_transactions.list(params={"payout": done.id}).data
    assert done.reconciliation_status == "completed"
    assert {row.source for row in contents} == {charged.latest_charge, refund.id, by_hand.id, done.id}
    assert sum(row.net for row in contents) == 0
    assert sum(row.net for row in contents if row.source != done.id) == 600
    assert _available(client) == 0
    assert "payout.reconciliation_completed" in _told(client)


def test_each_transaction_is_in_one_automatic_payout(
    earn: Pay, pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    pay(capture_method="automatic")
    earn(amount=2000)
    first = control.pay_out()[0]["id"]
    control.advance_clock(3 * DAY_SECONDS)
    second = control.pay_out()[0]["id"]
    assert control.pay_out() == []
    control.advance_clock(60)
    listed = [
        {row.id for row in client.v1.balance_transactions.list(params={"payout": payout}).data}
        for payout in (first, second)
    ]
    assert [len(rows) for rows in listed] == [2, 2]
    assert not listed[0] & listed[1]


def test_there_is_one_automatic_payout_a_currency_and_none_of_a_debt(
    earn: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    earn()
    earn(currency="eur")
    control.dispute(earn(currency="gbp").id)
    assert [(made["currency"], made["amount"]) for made in control.pay_out()] == [("eur", 941), ("usd", 941)]


def test_the_contents_of_a_payout_by_hand_cannot_be_listed(earn: Pay, client: stripe.StripeClient) -> None:
    earn()
    made = client.v1.payouts.create(params={"amount": 100, "currency": "usd"})
    for payout in (made.id, "po_unknown"):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.balance_transactions.list(params={"payout": payout})
        assert refusal.value.param == "payout"


def test_a_paid_payout_can_still_fail_and_the_next_one_takes_the_money_again(
    earn: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    earn()
    (payout,) = control.pay_out()
    assert control.finish_payout(payout["id"], "paid")["status"] == "paid"
    failed = control.finish_payout(payout["id"], "failed", code="no_account")
    booked = client.v1.balance_transactions.retrieve(failed["failure_balance_transaction"])
    assert (failed["status"], failed["failure_code"]) == ("failed", "no_account")
    assert (booked.type, booked.reporting_category, booked.net) == ("payout_failure", "payout_reversal", 941)
    assert _told(client) == ["payout.created", "payout.paid", "payout.failed"]
    assert [effect["kind"] for effect in control.effects()] == ["charge", "payout", "payout_failure"]
    with pytest.raises(ControlRefusedError, match="failed"):
        control.finish_payout(payout["id"], "paid")
    (again,) = control.pay_out()
    control.advance_clock(60)
    sources = {row.source for row in client.v1.balance_transactions.list(params={"payout": again["id"]}).data}
    assert (again["amount"], sources) == (941, {payout["id"], again["id"]})
    assert control.summary()["ledger_errors"] == []


def test_payouts_are_listed_by_status_and_labelled(
    earn: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    earn()
    made = [client.v1.payouts.create(params={"amount": 100, "currency": "usd"}).id for _ in range(2)]
    control.finish_payout(made[0])
    assert [found.id for found in client.v1.payouts.list(params={"status": "paid"}).data] == made[:1]
    assert [found.id for found in client.v1.payouts.list().data] == made[::-1]
    labelled = client.v1.payouts.update(made[1], params={"metadata": {"seen": "yes"}})
    assert labelled.metadata is not None
    assert labelled.metadata["seen"] == "yes"


def test_transactions_are_listed_by_currency(earn: Pay, client: stripe.StripeClient) -> None:
    earn()
    earn(currency="eur")
    assert [row.currency for row in client.v1.balance_transactions.list(params={"currency": "eur"}).data] == ["eur"]


def test_money_that_becomes_available_is_told_once_a_second(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    control.set_clock(1_800_000_000)
    for _ in range(3):
        pay(capture_method="automatic")
    control.advance_clock(2 * DAY_SECONDS)
    (told,) = client.v1.events.list(params={"type": "balance.available"}).data
    assert told.to_dict()["data"]["object"]["available"][0]["amount"] == 3 * 941
