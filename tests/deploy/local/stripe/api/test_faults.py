"""Each fault does what it says, is logged, and leaves exactly the effect it says it leaves."""

import time
from collections.abc import Callable

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]


def _charges(control: EmulatorControl) -> int:
    return sum(effect["kind"] == "charge" for effect in control.effects())


@pytest.mark.parametrize(("effect", "charged"), [("drop_before", 0), ("drop_after", 1), ("truncate_body", 1)])
def test_a_cut_connection_is_an_unknown_outcome(pay: Pay, control: EmulatorControl, effect: str, charged: int) -> None:
    control.add_fault(effect, path="/v1/payment_intents", nth=1)
    with pytest.raises(stripe.APIConnectionError):
        pay(key="order-1")
    assert _charges(control) == charged
    assert control.requests()[0]["fault"] == effect
    assert pay(key="order-1").status == "succeeded"
    assert _charges(control) == 1, "the same key finds the first payment, if there was one"
    assert len(control.firings()) == 1


@pytest.mark.parametrize(("with_effect", "charged"), [(True, 1), (False, 0)])
def test_a_proxy_answers_html(pay: Pay, control: EmulatorControl, with_effect: bool, charged: int) -> None:
    control.add_fault("non_json_body", with_effect=with_effect, max_firings=1)
    with pytest.raises(stripe.APIError) as refusal:
        pay(key="order-1")
    assert (refusal.value.http_status, refusal.value.error) == (502, None)
    assert _charges(control) == charged


def test_a_slow_body_outlasts_the_read_timeout(
    make_client: Callable[..., stripe.StripeClient], control: EmulatorControl
) -> None:
    control.add_fault("slow_body", seconds=1, max_firings=1)
    impatient = make_client(http_client=stripe.RequestsClient(timeout=(1, 0.2)))
    with pytest.raises(stripe.APIConnectionError):
        impatient.v1.customers.create(params={"name": "Buyer"})
    assert len(impatient.v1.customers.list().data) == 1


def test_latency_is_only_time(pay: Pay, control: EmulatorControl) -> None:
    control.add_fault("latency", seconds=0.2, nth=1)
    control.add_fault("latency", min_seconds=0.01, max_seconds=0.02, nth=2)
    started = time.monotonic()
    assert pay().status == "succeeded"
    assert time.monotonic() - started >= 0.2
    assert pay().status == "succeeded"


@pytest.mark.parametrize(
    "reason", ["global-rate", "endpoint-rate", "global-concurrency", "endpoint-concurrency", "resource-specific"]
)
def test_each_limiter_says_its_reason(pay: Pay, control: EmulatorControl, reason: str) -> None:
    control.add_fault("rate_limit", reason=reason, max_firings=1)
    with pytest.raises(stripe.RateLimitError) as refusal:
        pay(key="order-1")
    assert refusal.value.headers["Stripe-Rate-Limited-Reason"] == reason
    assert pay(key="order-1").status == "succeeded"


def test_a_lock_timeout_is_a_429_without_a_reason(pay: Pay, control: EmulatorControl) -> None:
    control.add_fault("lock_timeout", max_firings=1)
    with pytest.raises(stripe.RateLimitError) as refusal:
        pay()
    assert refusal.value.error.code == "lock_timeout"
    assert "Stripe-Rate-Limited-Reason" not in refusal.value.headers


def test_a_key_in_use_is_a_409(pay: Pay, control: EmulatorControl) -> None:
    control.add_fault("key_in_use", max_firings=1)
    with pytest.raises(stripe.APIError) as refusal:
        pay(key="order-1")
    assert (refusal.value.http_status, refusal.value.error.code) == (409, "idempotency_key_in_use")


@pytest.mark.parametrize("status", [424, 500, 503])
@pytest.mark.parametrize("should_retry", [None, True, False])
def test_an_error_without_effect_frees_the_key(
    pay: Pay, control: EmulatorControl, status: int, should_retry: bool | None
) -> None:
    control.add_fault("error", status=status, should_retry=should_retry, max_firings=1)
    with pytest.raises(stripe.APIError) as refusal:
        pay(key="order-1")
    expected = None if should_retry is None else str(should_retry).lower()
    assert refusal.value.http_status == status
    assert refusal.value.headers.get("Stripe-Should-Retry") == expected
    assert _charges(control) == 0
    assert pay(key="order-1").status == "succeeded"


@pytest.mark.parametrize(("effect", "stored", "charged"), [("error_with_effect", None, 1), ("error", True, 0)])
def test_an_executed_500_is_stored_and_replayed(
    pay: Pay, control: EmulatorControl, effect: str, stored: bool | None, charged: int
) -> None:
    details = {} if stored is None else {"stored": stored}
    control.add_fault(effect, status=500, should_retry=False, max_firings=1, **details)
    for replayed in (None, "true"):
        with pytest.raises(stripe.APIError) as refusal:
            pay(key="order-1")
        assert refusal.value.http_status == 500
        assert refusal.value.headers.get("Idempotent-Replayed") == replayed
        assert refusal.value.headers["Stripe-Should-Retry"] == "false"
    assert _charges(control) == charged


def test_a_500_rolled_forward_is_told_by_events_only(
    client: stripe.StripeClient, pay: Pay, control: EmulatorControl
) -> None:
    control.set_clock(1_800_000_000)
    control.add_fault("error_rolled_forward", seconds=30, max_firings=1)
    with pytest.raises(stripe.APIError):
        pay(key="order-1", metadata={"order": "1"})
    assert client.v1.events.list().data == []
    control.advance_clock(31)
    event = client.v1.events.list(params={"type": "payment_intent.succeeded"}).data[0]
    assert event.request.idempotency_key == "order-1"
    assert event.data.object["metadata"]["order"] == "1"
    with pytest.raises(stripe.APIError) as refusal:
        pay(key="order-1", metadata={"order": "1"})
    assert refusal.value.headers["Idempotent-Replayed"] == "true"


def test_a_rule_matches_by_account_key_and_probability(pay: Pay, control: EmulatorControl, venue: str) -> None:
    control.add_fault("drop_before", account=venue)
    control.add_fault("drop_before", key="order-1*")
    rule = control.add_fault("drop_before", key="chance*", probability=0.5)
    with pytest.raises(stripe.APIConnectionError):
        pay(account=venue)
    with pytest.raises(stripe.APIConnectionError):
        pay(key="order-12")
    assert pay(key="order-2").status == "succeeded"
    for number in range(40):
        try:
            pay(key=f"chance-{number}")
        except stripe.APIConnectionError:
            continue
    assert 5 < len(control.firings(rule)) < 35
    control.clear_faults()
    assert pay(key="order-12").status == "succeeded"


def test_the_sdk_own_retries_make_one_payment(
    make_client: Callable[..., stripe.StripeClient], control: EmulatorControl
) -> None:
    control.add_fault("drop_after", path="/v1/payment_intents", nth=1)
    stubborn = make_client(max_network_retries=2)
    stubborn.v1.payment_intents.create(
        params={
            "amount": 900,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )
    assert _charges(control) == 1
    assert [request["replayed"] for request in control.requests()] == [False, True]
