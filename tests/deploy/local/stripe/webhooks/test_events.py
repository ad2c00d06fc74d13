"""Events: which, in what order, caused by whom, and that a snapshot never changes."""

import contextlib
from collections.abc import Callable

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"capture_method": "automatic"},
            ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"],
        ),
        (
            {"payment_method": "pm_card_visa_chargeDeclined"},
            ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"],
        ),
        (
            {"payment_method": "pm_card_authenticationRequired"},
            ["payment_intent.created", "payment_intent.requires_action"],
        ),
        (
            {"payment_method": "pm_usBankAccount_processing"},
            ["payment_intent.created", "charge.pending", "payment_intent.processing"],
        ),
        (
            {"capture_method": "manual"},
            ["payment_intent.created", "charge.succeeded", "payment_intent.amount_capturable_updated"],
        ),
    ],
)
def test_each_ending_tells_its_events_in_order(
    client: stripe.StripeClient, pay: Pay, control: EmulatorControl, changes: dict[str, object], expected: list[str]
) -> None:
    with contextlib.suppress(stripe.CardError):
        pay(key="cause", **changes)
    events = client.v1.events.list().data[::-1]
    assert [event.type for event in events] == expected
    assert {event.request.idempotency_key for event in events} == {"cause"}
    assert [request["request_id"] for request in control.requests()][:1] == list({e.request.id for e in events})


def test_capture_and_cancel_tell_theirs(client: stripe.StripeClient, pay: Pay) -> None:
    client.v1.payment_intents.capture(pay(capture_method="manual").id)
    client.v1.payment_intents.cancel(pay(capture_method="manual").id)
    types = [event.type for event in client.v1.events.list(params={"limit": 100}).data][::-1]
    assert types[3:5] == ["charge.captured", "payment_intent.succeeded"]
    assert types[-2:] == ["charge.refunded", "payment_intent.canceled"]


def test_a_snapshot_never_changes_and_holds_only_ids(
    client: stripe.StripeClient, pay: Pay, control: EmulatorControl
) -> None:
    pay(expand=["latest_charge", "payment_method"])
    control.advance_clock(5)
    told = client.v1.events.list(params={"type": "charge.succeeded"}).data[0].to_dict()["data"]["object"]
    assert told["balance_transaction"] is None
    assert isinstance(told["payment_intent"], str)
    assert client.v1.charges.retrieve(told["id"]).balance_transaction is not None


def test_events_are_filtered_by_type_and_time(client: stripe.StripeClient, pay: Pay, control: EmulatorControl) -> None:
    control.set_clock(1_800_000_000)
    pay(capture_method="automatic")
    control.advance_clock(10)
    pay(capture_method="automatic")
    both = client.v1.events.list(params={"types": ["charge.succeeded", "payment_intent.succeeded"]})
    assert [event.type for event in both.data] == ["payment_intent.succeeded", "charge.succeeded"] * 2
    wild = client.v1.events.list(params={"type": "charge.*", "created": {"gte": 1_800_000_010}})
    assert [event.type for event in wild.data] == ["charge.succeeded"]
    assert client.v1.events.retrieve(wild.data[0].id).type == "charge.succeeded"


def test_what_was_never_delivered_is_found_by_window_type_and_failure(
    client: stripe.StripeClient, pay: Pay, control: EmulatorControl
) -> None:
    client.v1.webhook_endpoints.create(params={"url": "http://127.0.0.1:9", "enabled_events": ["refund.created"]})
    control.add_fault("webhook_drop", event_type="refund.created")
    control.set_clock(1_800_000_000)
    early, late = pay(), pay()
    client.v1.refunds.create(params={"payment_intent": early.id})
    control.advance_clock(3600)
    made = client.v1.refunds.create(params={"payment_intent": late.id})
    window = {"created": {"gt": 1_800_000_000, "lte": 1_800_003_600}, "delivery_success": False}
    missed = client.v1.events.list(params={**window, "types": ["refund.created", "charge.refunded"]}).data
    assert [event.to_dict()["data"]["object"]["id"] for event in missed] == [made.id]
    assert [delivery["state"] for delivery in control.deliveries()] == ["dropped", "dropped"]


def test_events_are_kept_for_30_days(client: stripe.StripeClient, pay: Pay, control: EmulatorControl) -> None:
    pay(capture_method="automatic")
    control.advance_clock(31 * 24 * 3600)
    assert [event.type for event in client.v1.events.list().data] == ["balance.available"]  # its own moment is now


def test_a_connected_account_tells_its_own_events(client: stripe.StripeClient, pay: Pay, venue: str) -> None:
    pay(account=venue)
    assert client.v1.events.list().data == []
    events = client.v1.events.list(options={"stripe_account": venue}).data
    assert {event.account for event in events} == {venue}
