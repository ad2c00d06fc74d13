"""Transfers: from the balance, from a charge, what is refused, and both sides of the ledger."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]
Send = Callable[..., stripe.Transfer]
DAY_SECONDS = 24 * 3600


@pytest.fixture
def send(client: stripe.StripeClient, venue: str) -> Send:
    def transfer(amount: int = 400, key: str | None = None, **changes: Any) -> stripe.Transfer:
        params: dict[str, Any] = {"amount": amount, "currency": "usd", "destination": venue}
        options: Any = {} if key is None else {"idempotency_key": key}
        return client.v1.transfers.create(params={**params, **changes}, options=options)

    return transfer


def _balance(client: stripe.StripeClient, account: str | None = None) -> tuple[int, int]:
    """Available and pending."""
    options: Any = {} if account is None else {"stripe_account": account}
    found = client.v1.balance.retrieve(options=options)
    return found.available[0].amount, found.pending[0].amount


def test_a_transfer_moves_money_that_is_available(
    send: Send, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    control.adjust_balance(1000)
    made = send(transfer_group="order_1", metadata={"share": "7"}, description="Rent")
    assert (_balance(client), _balance(client, venue)) == ((600, 0), (400, 0))
    assert (made.transfer_group, made.source_transaction, made.reversed) == ("order_1", None, False)
    assert [event.type for event in client.v1.events.list(params={"type": "transfer.*"}).data] == ["transfer.created"]
    inside: Any = {"stripe_account": venue}
    payment = client.v1.charges.retrieve(str(made.destination_payment), options=inside)
    assert (payment.amount, payment.source_transfer, payment.status) == (400, made.id, "succeeded")
    (told,) = client.v1.events.list(params={"type": "payment.created"}, options=inside).data
    assert (told.account, told.to_dict()["data"]["object"]["id"]) == (venue, payment.id)
    out = client.v1.balance_transactions.list(params={"source": made.id}).data
    came = client.v1.balance_transactions.list(params={"source": payment.id}, options=inside).data
    assert [(row.type, row.net) for row in (*out, *came)] == [("transfer", -400), ("payment", 400)]
    (effect,) = (effect for effect in control.effects() if effect["kind"] == "transfer")
    assert (effect["amount"], effect["object_id"], effect["metadata"]) == (400, made.id, {"share": "7"})
    assert control.summary()["ledger_errors"] == []


def test_a_transfer_larger_than_what_is_available_is_refused(
    send: Send, pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    pay(capture_method="automatic")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        send(key="share-1")
    assert (refusal.value.http_status, refusal.value.code) == (400, "balance_insufficient")
    control.advance_clock(3 * DAY_SECONDS)
    assert send(key="share-2").amount == 400
    assert len(client.v1.transfers.list().data) == 1


def test_a_refusal_is_kept_under_its_key(send: Send, control: EmulatorControl) -> None:
    """Money that comes later does not change the answer: a new try needs a new key."""
    with pytest.raises(stripe.InvalidRequestError):
        send(key="share-1")
    control.adjust_balance(1000)
    with pytest.raises(stripe.InvalidRequestError) as again:
        send(key="share-1")
    assert again.value.headers["Idempotent-Replayed"] == "true"  # type: ignore[index]  # an answer has headers
    assert send(key="share-1:2").amount == 400


def test_a_transfer_from_a_charge_is_accepted_at_once_and_available_with_it(
    send: Send, pay: Pay, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    intent = pay(capture_method="automatic", transfer_group="order_9")
    made = send(900, source_transaction=intent.latest_charge, transfer_group="ignored")
    assert (made.transfer_group, made.source_transaction) == ("order_9", intent.latest_charge)
    (grouped,) = client.v1.charges.list(params={"transfer_group": "order_9"}).data
    assert grouped.id == intent.latest_charge
    assert (_balance(client), _balance(client, venue)) == ((0, 41), (0, 900))
    control.advance_clock(2 * DAY_SECONDS)
    assert (_balance(client), _balance(client, venue)) == ((41, 0), (900, 0))


def test_a_charge_that_is_not_booked_yet_is_booked_for_its_transfer(
    send: Send, pay: Pay, client: stripe.StripeClient, venue: str
) -> None:
    intent = pay()
    made = send(source_transaction=intent.latest_charge)
    assert made.transfer_group == f"group_{intent.id}"
    assert client.v1.charges.retrieve(str(intent.latest_charge)).balance_transaction is not None
    assert _balance(client, venue) == (0, 400)


def test_transfers_of_a_charge_stay_within_it(
    send: Send, pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    intent = pay(capture_method="automatic")
    charge = intent.latest_charge
    first = send(600, source_transaction=charge)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        send(401, source_transaction=charge)
    assert (refusal.value.param, refusal.value.code) == ("amount", None)
    assert "must not exceed the source amount of 1000" in str(refusal.value)
    client.v1.transfers.reversals.create(first.id)
    with pytest.raises(stripe.InvalidRequestError):
        send(401, source_transaction=charge)
    assert send(400, source_transaction=charge).amount == 400


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"destination": "acct_nobody"}, "resource_missing", "destination"),
        ({"source_transaction": "ch_nothing"}, "resource_missing", "source_transaction"),
        ({"currency": "eur"}, None, "currency"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    send: Send, pay: Pay, changes: dict[str, Any], code: str | None, param: str
) -> None:
    given = {"source_transaction": pay(capture_method="automatic").latest_charge} | changes
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        send(**given)
    assert (refusal.value.code, refusal.value.param) == (code, param)


def test_a_held_charge_pays_no_transfer(send: Send, pay: Pay) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        send(source_transaction=pay(capture_method="manual").latest_charge)
    assert refusal.value.param == "source_transaction"


@pytest.mark.parametrize("status", ["inactive", "pending"])
def test_only_an_account_that_may_receive_gets_a_transfer(
    send: Send, control: EmulatorControl, venue: str, status: str
) -> None:
    control.adjust_balance(1000)
    control.set_capability(venue, "transfers", status)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        send()
    assert refusal.value.code == "insufficient_capabilities_for_transfer"
    control.set_capability(venue, "transfers", "active")
    assert send().amount == 400


def test_transfers_are_listed_by_group_and_destination(
    send: Send, client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    control.adjust_balance(5000)
    other = control.account("acct_artist")["id"]
    made = [send(transfer_group=f"order_{number % 2}").id for number in range(4)]
    made.append(send(destination=other, transfer_group="order_0").id)
    found = client.v1.transfers.list
    assert [one.id for one in found(params={"transfer_group": "order_0"}).data] == [made[4], made[2], made[0]]
    assert [one.id for one in found(params={"destination": other}).data] == [made[4]]
    assert client.v1.charges.list(params={"transfer_group": "order_0"}).data == []
    both = found(params={"transfer_group": "order_0", "destination": venue, "limit": 1})
    assert [one.id for one in both.auto_paging_iter()] == [made[2], made[0]]


def test_a_transfer_is_labelled_and_expanded(send: Send, pay: Pay, client: stripe.StripeClient, venue: str) -> None:
    made = send(source_transaction=pay(capture_method="automatic").latest_charge)
    labelled = client.v1.transfers.update(made.id, params={"metadata": {"seen": "1"}, "description": "Share"})
    assert labelled.description == "Share"
    (told,) = client.v1.events.list(params={"type": "transfer.updated"}).data
    assert told.to_dict()["data"]["previous_attributes"] == {"metadata": {}, "description": None}
    params: Any = {
        "expand": [
            "destination",
            "destination_payment.balance_transaction",
            "source_transaction",
            "balance_transaction",
        ]
    }
    shown = client.v1.transfers.retrieve(made.id, params=params)
    assert shown.destination.id == venue  # type: ignore[union-attr]  # expanded
    assert shown.destination_payment.balance_transaction.net == 400  # type: ignore[union-attr]  # expanded
    assert shown.balance_transaction.source == made.id  # type: ignore[union-attr]  # expanded
    assert shown.source_transaction.paid is True  # type: ignore[union-attr]  # expanded


def test_a_venue_sees_no_transfer_of_the_platform(
    send: Send, client: stripe.StripeClient, pay: Pay, venue: str
) -> None:
    made = send(source_transaction=pay(capture_method="automatic").latest_charge)
    with pytest.raises(stripe.InvalidRequestError) as foreign:
        client.v1.transfers.retrieve(made.id, options={"stripe_account": venue})
    assert (foreign.value.http_status, foreign.value.code) == (404, "resource_missing")
