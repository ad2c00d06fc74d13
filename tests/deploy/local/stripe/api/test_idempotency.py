"""One key, one operation: replays, conflicts, pruning, and what is not stored."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]
DAY_SECONDS = 24 * 3600


def test_the_same_request_again_is_a_replay(pay: Pay, control: EmulatorControl) -> None:
    first, again = pay(key="order-1"), pay(key="order-1")
    assert again.id == first.id
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert again.last_response.headers["Original-Request"] == first.last_response.headers["Request-Id"]
    assert [effect["kind"] for effect in control.effects()] == ["charge"]
    assert [request["replayed"] for request in control.requests()] == [False, True]


def test_the_same_key_with_another_body_has_no_effect(pay: Pay, control: EmulatorControl) -> None:
    pay(key="order-1")
    with pytest.raises(stripe.IdempotencyError) as refusal:
        pay(key="order-1", amount=2000)
    assert refusal.value.http_status == 400
    assert len(control.effects()) == 1


def test_the_same_key_on_another_path_is_refused(client: stripe.StripeClient, pay: Pay) -> None:
    pay(key="order-1")
    with pytest.raises(stripe.IdempotencyError):
        client.v1.customers.create(params={}, options={"idempotency_key": "order-1"})


def test_a_decline_is_replayed_and_never_becomes_a_success(pay: Pay, control: EmulatorControl) -> None:
    intents = set()
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            pay(key="order-1", payment_method="pm_card_visa_chargeDeclined")
        intents.add(declined.value.error.payment_intent.id)
    assert len(intents) == 1
    assert declined.value.headers["Idempotent-Replayed"] == "true"
    assert [effect["kind"] for effect in control.effects()] == ["charge_failed"]


def test_a_validation_failure_frees_the_key(pay: Pay) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        pay(key="order-1", amount=1)
    assert pay(key="order-1").status == "succeeded"


def test_a_refusal_of_state_is_stored(client: stripe.StripeClient, pay: Pay) -> None:
    intent = pay()
    for replayed in (None, "true"):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.payment_intents.cancel(intent.id, options={"idempotency_key": "cancel-1"})
        assert refusal.value.code == "payment_intent_unexpected_state"
        assert refusal.value.headers.get("Idempotent-Replayed") == replayed


def test_a_key_is_forgotten_after_24_hours_of_the_clock(pay: Pay, control: EmulatorControl) -> None:
    first = pay(key="order-1")
    control.advance_clock(DAY_SECONDS - 60)
    assert pay(key="order-1").id == first.id
    control.advance_clock(60)
    assert pay(key="order-1").id != first.id, "past its life the same key is a second payment, as at Stripe"
    assert len(control.effects()) == 2


def test_who_comes_while_the_key_runs_gets_409(pay: Pay, control: EmulatorControl) -> None:
    control.add_fault("slow_execution", seconds=0.5, max_firings=1)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(pay, key="order-1")
        _wait_until_held(control)
        with pytest.raises(stripe.APIError) as refusal:
            pay(key="order-1")
        assert (refusal.value.http_status, refusal.value.error.code) == (409, "idempotency_key_in_use")
        assert running.result().status == "succeeded"
    assert pay(key="order-1").id == running.result().id


def _wait_until_held(control: EmulatorControl) -> None:
    while not control.firings():
        pass


@pytest.mark.parametrize("hold_seconds", [0.0, 0.3])
def test_fifty_at_once_make_one_payment(pay: Pay, control: EmulatorControl, hold_seconds: float) -> None:
    if hold_seconds:
        control.add_fault("slow_execution", seconds=hold_seconds, nth=1)
    together = threading.Barrier(50)

    def attempt() -> str:
        together.wait()
        try:
            return pay(key="order-1").id
        except stripe.APIError as refusal:
            assert refusal.error is not None
            return str(refusal.error.code)

    with ThreadPoolExecutor(50) as pool:
        outcomes = Counter(pool.map(lambda _: attempt(), range(50)))
    payments = [outcome for outcome in outcomes if outcome.startswith("pi_")]
    assert len(payments) == 1
    assert set(outcomes) <= {payments[0], "idempotency_key_in_use"}
    assert len(control.effects()) == 1
    assert control.summary()["ledger_errors"] == []


def test_fifty_keys_at_once_make_fifty_payments(pay: Pay, control: EmulatorControl) -> None:
    with ThreadPoolExecutor(50) as pool:
        made = set(pool.map(lambda number: pay(key=f"order-{number}").id, range(50)))
    assert len(made) == 50
    assert len(control.effects()) == 50
