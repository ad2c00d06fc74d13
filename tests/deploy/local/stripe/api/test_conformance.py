"""Every kind of answer against Stripe's published OpenAPI description, where that file is to be had.

`spec.py` says where; `conftest.py` also puts every other answer of every test before the same judge.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from deploy.local.stripe.api.routes import OPERATIONS
from deploy.local.stripe.api.unbuilt import UNBUILT
from deploy.local.stripe.control import EmulatorControl
from tests.deploy.local.stripe.spec import Judge, folder, load

Pay = Callable[..., stripe.PaymentIntent]
Json = dict[str, Any]


@pytest.fixture(scope="module")
def spec() -> Json:
    described = load()
    if described is None:
        pytest.skip(f"Stripe's OpenAPI description was not there ({folder()}); set STRIPE_SPEC_DIR")
    return described


@pytest.fixture(scope="module")
def check(spec: Json) -> Callable[[str, Json], None]:
    judge = Judge(spec)

    def validate(kind: str, answer: Json) -> None:
        errors = judge.errors(kind, answer)
        assert errors == [], kind

    return validate


PAYMENTS: dict[str, Json] = {
    "succeeded": {"capture_method": "automatic", "metadata": {"order": "1"}, "setup_future_usage": "off_session"},
    "asynchronous": {},
    "held": {"capture_method": "manual"},
    "waiting for the buyer": {"payment_method": "pm_card_authenticationRequired"},
    "waiting at a page": {"payment_method": "pm_card_authenticationRequired", "return_url": "https://a.example"},
    "waiting for the bank": {"payment_method": "pm_usBankAccount_processing"},
    "declined": {"payment_method": "pm_card_visa_chargeDeclined"},
    "blocked": {"payment_method": "pm_card_radarBlock"},
    "open": {"confirm": False, "payment_method": None},
}


@pytest.mark.parametrize("name", PAYMENTS)
def test_a_payment_and_all_it_leaves_have_stripe_s_shape(
    client: stripe.StripeClient, pay: Pay, control: EmulatorControl, check: Callable[[str, Json], None], name: str
) -> None:
    try:
        intent = pay(**PAYMENTS[name])
    except stripe.CardError as declined:
        check("error", declined.json_body)
        intent = client.v1.payment_intents.retrieve(declined.error.payment_intent.id)
    control.advance_clock(1)
    check("payment_intent", intent.to_dict(for_json=True))
    kinds = {
        "charge": client.v1.charges,
        "balance_transaction": client.v1.balance_transactions,
        "event": client.v1.events,
    }
    for kind, service in kinds.items():
        for found in service.list(params={"limit": 100}).data:
            check(kind, found.to_dict(for_json=True))
    for event in client.v1.events.list().data:
        told = event.to_dict(for_json=True)["data"]["object"]
        check(told["object"], told)
    check("balance", client.v1.balance.retrieve().to_dict(for_json=True))


def test_canceled_and_captured_intents_have_stripe_s_shape(
    client: stripe.StripeClient, pay: Pay, check: Callable[[str, Json], None]
) -> None:
    canceled = client.v1.payment_intents.cancel(pay(capture_method="manual").id)
    captured = client.v1.payment_intents.capture(pay(capture_method="manual").id, params={"amount_to_capture": 500})
    for intent in (canceled, captured):
        check("payment_intent", intent.to_dict(for_json=True))
    check("charge", client.v1.charges.retrieve(str(captured.latest_charge)).to_dict(for_json=True))


@pytest.mark.parametrize("method", ["pm_card_pendingRefund", "pm_card_refundFail", "pm_usBankAccount_success"])
def test_refunds_have_stripe_s_shape_all_their_life(
    client: stripe.StripeClient, pay: Pay, control: EmulatorControl, check: Callable[[str, Json], None], method: str
) -> None:
    intent = pay(payment_method=method)
    control.advance_clock(200)
    made = client.v1.refunds.create(params={"payment_intent": intent.id, "amount": 400})
    control.set_refunds_beyond_balance("overdraw")
    asked = client.v1.refunds.create(params={"payment_intent": intent.id})
    told = [made.to_dict(for_json=True), asked.to_dict(for_json=True)]
    if asked.status == "pending":
        told.append(control.finish_refund(asked.id, "ask_buyer"))
    control.advance_clock(3 * 24 * 3600)
    told += [found.to_dict(for_json=True) for found in client.v1.refunds.list().data]
    events = [event.to_dict(for_json=True) for event in client.v1.events.list(params={"limit": 100}).data]
    for shown in told:
        check("refund", shown)
    for event in events:
        check("event", event)
        check(event["data"]["object"]["object"], event["data"]["object"])
    for booked in client.v1.balance_transactions.list().data:
        check("balance_transaction", booked.to_dict(for_json=True))


@pytest.mark.parametrize("method", ["pm_card_createDispute", "pm_card_createDisputeInquiry"])
def test_disputes_and_warnings_have_stripe_s_shape_all_their_life(
    client: stripe.StripeClient, pay: Pay, control: EmulatorControl, check: Callable[[str, Json], None], method: str
) -> None:
    intent = pay(payment_method=method)
    warning = control.warn_of_fraud(intent.id)
    control.advance_clock(3)
    (dispute,) = client.v1.disputes.list(params={"expand": ["data.charge"]}).data
    told = [client.v1.disputes.retrieve(dispute.id).to_dict(for_json=True)]
    moves = ["lost", "appeal_needs_response", "appeal_under_review", "won"]
    way = ["needs_response", *moves] if "Inquiry" in method else moves
    told += [control.decide_dispute(dispute.id, status) for status in way]
    for shown in told:
        check("dispute", shown)
    check("radar.early_fraud_warning", warning)
    for event in client.v1.events.list(params={"limit": 100}).data:
        snapshot = event.to_dict(for_json=True)["data"]["object"]
        check(snapshot["object"], snapshot)
    for booked in client.v1.balance_transactions.list(params={"expand": ["data.source"]}).data:
        check("balance_transaction", booked.to_dict(for_json=True))


def test_payouts_have_stripe_s_shape_all_their_life(
    client: stripe.StripeClient, pay: Pay, control: EmulatorControl, check: Callable[[str, Json], None]
) -> None:
    pay(payment_method="pm_card_bypassPending", capture_method="automatic")
    made = [client.v1.payouts.create(params={"amount": 100, "currency": "usd"}) for _ in range(2)]
    client.v1.payouts.cancel(made[0].id)
    (automatic,) = control.pay_out()
    control.advance_clock(3 * 24 * 3600)
    check("payout", control.finish_payout(automatic["id"], "failed"))
    for payout in client.v1.payouts.list().data:
        check("payout", payout.to_dict(for_json=True))
    for event in client.v1.events.list(params={"limit": 100}).data:
        snapshot = event.to_dict(for_json=True)["data"]["object"]
        check(snapshot["object"], snapshot)
    for booked in client.v1.balance_transactions.list(params={"expand": ["data.source"]}).data:
        check("balance_transaction", booked.to_dict(for_json=True))


def test_customers_methods_and_endpoints_have_stripe_s_shape(
    client: stripe.StripeClient, check: Callable[[str, Json], None]
) -> None:
    customer = client.v1.customers.create(params={"name": "Buyer", "address": {"city": "Bergen"}})
    card = client.v1.payment_methods.attach("pm_card_visa", params={"customer": customer.id})
    bank = client.v1.payment_methods.attach("pm_usBankAccount_success", params={"customer": customer.id})
    endpoint = client.v1.webhook_endpoints.create(params={"url": "http://127.0.0.1:1", "enabled_events": ["*"]})
    for kind, made in {"customer": customer, "webhook_endpoint": endpoint}.items():
        check(kind, made.to_dict(for_json=True))
    for method in (card, bank):
        check("payment_method", method.to_dict(for_json=True))
    check("deleted_customer", client.v1.customers.delete(customer.id).to_dict(for_json=True))
    check("deleted_webhook_endpoint", client.v1.webhook_endpoints.delete(endpoint.id).to_dict(for_json=True))


def test_the_fields_of_the_main_objects_are_those_of_stripe_s_own_samples(
    client: stripe.StripeClient, pay: Pay, control: EmulatorControl, spec: Json
) -> None:
    """The differences are known: a sample's `source` is of the old API, and `refunds` is shown only when expanded."""
    samples = json.loads((folder() / "fixtures.json").read_text())["resources"]
    intent = pay(capture_method="automatic", expand=["latest_charge.balance_transaction", "payment_method"])
    charge = intent.latest_charge
    ours = {"payment_intent": intent, "charge": charge, "balance_transaction": charge.balance_transaction}
    ours |= {"payment_method": intent.payment_method, "customer": client.v1.customers.create(params={})}
    ours |= {"refund": client.v1.refunds.create(params={"payment_intent": intent.id})}
    fields = {kind: set(made.to_dict()) for kind, made in ours.items()}
    fields["radar.early_fraud_warning"] = set(control.warn_of_fraud(pay().id))
    fields["dispute"] = set(control.dispute(pay().id))
    pay(payment_method="pm_card_bypassPending", capture_method="automatic", currency="eur")
    fields["payout"] = set(control.pay_out()[0])
    missing = {kind: set(samples[kind]) - names for kind, names in fields.items()}
    assert missing == {
        "payment_intent": {"source", "managed_payments"},
        "charge": {"source", "refunds"},
        "balance_transaction": set(),
        "payment_method": set(),
        "customer": set(),
        "refund": set(),
        "dispute": set(),
        "payout": set(),
        "radar.early_fraud_warning": set(),
    }


@pytest.mark.parametrize("place", [(), ("amount_details",), ("latest_charge", "payment_method_details", "card")])
def test_the_check_has_teeth(pay: Pay, check: Callable[[str, Json], None], place: tuple[str, ...]) -> None:
    answer = pay(expand=["latest_charge"]).to_dict(for_json=True)
    kind, changed = ("charge", answer["latest_charge"]) if len(place) > 1 else ("payment_intent", answer)
    answer["latest_charge"] = changed["id"] if kind == "payment_intent" else answer["latest_charge"]
    inner = changed
    for name in place[1:] if kind == "charge" else place:
        inner = inner[name]
    inner["invented"] = 1
    with pytest.raises(AssertionError, match=kind):
        check(kind, changed)


def test_every_operation_of_stripe_is_built_or_named_as_unbuilt(spec: Json) -> None:
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "*", path)) for path, methods in spec["paths"].items() for method in methods
    }
    built = {(operation.method, operation.template) for operation in OPERATIONS}
    assert built | set(UNBUILT) == described
    assert not built & set(UNBUILT)


def test_every_parameter_of_stripe_is_served_or_named_as_without_effect(spec: Json) -> None:
    """What Stripe takes and we do not know would be answered with parameter_unknown: a wrong reason."""
    for path, methods in spec["paths"].items():
        for method, described in methods.items():
            template = (method.upper(), re.sub(r"\{\w+\}", "*", path))
            ours = [operation.takes for operation in OPERATIONS if (operation.method, operation.template) == template]
            for takes in ours:
                known = set(takes.fields) | takes.without_effect | set(takes.no_longer) | {"expand"}
                assert _parameters(described) <= known, template


def _parameters(described: Json) -> set[str]:
    in_query = {given["name"] for given in described.get("parameters", ()) if given["in"] == "query"}
    content = described.get("requestBody", {}).get("content", {}).get("application/x-www-form-urlencoded", {})
    return in_query | set(content.get("schema", {}).get("properties", {}))
