"""Connect's answers against Stripe's published description and its own samples, where those are to be had."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl
from tests.deploy.local.stripe.spec import Judge, folder, load

Pay = Callable[..., stripe.PaymentIntent]
Json = dict[str, Any]


@pytest.fixture
def check() -> Callable[[str, Json], None]:
    described = load()
    if described is None:
        pytest.skip(f"Stripe's OpenAPI description was not there ({folder()}); set STRIPE_SPEC_DIR")
    judge = Judge(described)

    def validate(kind: str, answer: Json) -> None:
        assert judge.errors(kind, answer) == [], kind

    return validate


@pytest.fixture
def made(client: stripe.StripeClient, pay: Pay, control: EmulatorControl, venue: str) -> dict[str, Any]:
    """One of each kind, all of them in the middle of their life."""
    control.set_refunds_beyond_balance("overdraw")
    shared = {"transfer_data": {"destination": venue, "metadata": {"a": "b"}}, "application_fee_amount": 100}
    intent = pay(capture_method="automatic", expand=["latest_charge"], on_behalf_of=venue, **shared)
    asked: Any = {"payment_intent": intent.id, "amount": 300, "reverse_transfer": True, "refund_application_fee": True}
    refund = client.v1.refunds.create(params=asked)
    control.set_capability(venue, "transfers", "pending")
    control.set_capability(venue, "transfers", "active")
    (transfer,) = client.v1.transfers.list().data
    (fee,) = client.v1.application_fees.list().data
    return {
        "payment_intent": intent,
        "charge": intent.latest_charge,
        "refund": refund,
        "transfer": transfer,
        "transfer_reversal": transfer.reversals.data[0],
        "application_fee": fee,
        "fee_refund": fee.refunds.data[0],
        "account": client.v1.accounts.retrieve(venue),
        "capability": client.v1.accounts.capabilities.retrieve(venue, "transfers"),
        "topup": client.v1.topups.create(params={"amount": 500, "currency": "usd"}),
    }


def test_all_of_connect_has_stripe_s_shape(
    client: stripe.StripeClient,
    made: dict[str, Any],
    control: EmulatorControl,
    check: Callable[[str, Json], None],
    venue: str,
) -> None:
    control.advance_clock(3 * 24 * 3600)
    control.pay_out(venue)
    for kind, shown in made.items():
        plain = shown.to_dict(for_json=True)
        plain["latest_charge"] = plain["latest_charge"]["id"] if kind == "payment_intent" else None
        check(kind, {name: value for name, value in plain.items() if name != "latest_charge" or value})
    for options in ({}, {"stripe_account": venue}):
        inside: Any = options
        for event in client.v1.events.list(params={"limit": 100}, options=inside).data:
            snapshot = event.to_dict(for_json=True)["data"]["object"]
            check(snapshot["object"], snapshot)
        for booked in client.v1.balance_transactions.list(params={"expand": ["data.source"]}, options=inside).data:
            check("balance_transaction", booked.to_dict(for_json=True))
        check("balance", client.v1.balance.retrieve(options=inside).to_dict(for_json=True))


def test_the_fields_of_connect_s_objects_are_those_of_stripe_s_own_samples(
    made: dict[str, Any], check: Callable[[str, Json], None]
) -> None:
    samples = json.loads((folder() / "fixtures.json").read_text())["resources"]
    missing = {kind: set(samples[kind]) - set(shown.to_dict()) for kind, shown in made.items() if kind != "charge"}
    assert missing == {kind: set() for kind in missing} | {"payment_intent": {"source", "managed_payments"}}
