"""One call to Stripe: never inside a transaction, never past the life of its key, and none while Stripe is ill."""

import time
from typing import Any
from uuid import uuid4

import pytest

from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.process import EmulatorProcess
from messages.ids import OrderId, PaymentId, TenantId
from messages.money import Money
from messages.runtime.no_calls_in_transaction import OutsideCallInTransactionError
from messages.verdicts import GiveUp, TryAgain, TryLater
from stripe_client import gateway as gateways
from stripe_client import payment_intents
from stripe_client.gateway import BREAKER_FAILURES, Gateway
from stripe_client.outcomes import Absent, Charged, Unanswered
from tests.conftest import stripe_settings

PATH = "/v1/payment_intents"


def test_a_call_inside_a_transaction_is_refused_and_nothing_is_sent(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    with db.system_transaction(), pytest.raises(OutsideCallInTransactionError):
        create(gateway, PaymentId(uuid4()))

    assert stripe_control.requests() == []


def test_a_transaction_that_ended_badly_does_not_forbid_the_next_call(db: Database, gateway: Gateway) -> None:
    with pytest.raises(ZeroDivisionError), db.system_transaction():
        raise ZeroDivisionError

    assert isinstance(create(gateway, PaymentId(uuid4())), Charged)


def test_a_stripe_that_keeps_failing_is_left_alone_and_asked_again_after_the_pause(
    stripe_server: EmulatorProcess, stripe_control: EmulatorControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "BREAKER_PAUSE_SECONDS", 1)
    gateway = Gateway(stripe_settings(stripe_server.base_url))
    stripe_control.add_fault("error", path=PATH, status=500, should_retry=False)
    for _ in range(BREAKER_FAILURES):
        assert isinstance(create(gateway, PaymentId(uuid4())), Unanswered)
    asked = len(stripe_control.requests())

    with pytest.raises(TryLater, match="left alone"):
        create(gateway, PaymentId(uuid4()))
    assert len(stripe_control.requests()) == asked

    stripe_control.clear_faults()
    time.sleep(1.1)
    assert isinstance(create(gateway, PaymentId(uuid4())), Charged)


@pytest.mark.parametrize("effect", ["rate_limit", "lock_timeout", "key_in_use"])
def test_limits_and_locks_do_not_open_the_breaker(
    gateway: Gateway, stripe_control: EmulatorControl, monkeypatch: pytest.MonkeyPatch, effect: str
) -> None:
    monkeypatch.setattr(gateways, "ATTEMPTS", 1)
    stripe_control.add_fault(effect, path=PATH)
    for _ in range(BREAKER_FAILURES + 2):
        with pytest.raises((TryAgain, TryLater)) as verdict:
            create(gateway, PaymentId(uuid4()))

    assert "left alone" not in str(verdict.value)


def test_declines_do_not_open_the_breaker(gateway: Gateway) -> None:
    for _ in range(BREAKER_FAILURES + 1):
        create(gateway, PaymentId(uuid4()), method="pm_card_visa_chargeDeclined")

    assert isinstance(create(gateway, PaymentId(uuid4())), Charged)


def test_a_key_is_never_sent_after_its_time(gateway: Gateway, stripe_control: EmulatorControl) -> None:
    with pytest.raises(TryAgain, match="nothing was sent"):
        create(gateway, PaymentId(uuid4()), send_before=time.monotonic() - 0.001)

    assert stripe_control.requests() == []


def test_the_inner_tries_stop_when_the_time_of_the_key_is_over(
    gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    stripe_control.add_fault("error", path=PATH, status=503)

    with pytest.raises(TryAgain, match="nothing was sent"):
        create(gateway, PaymentId(uuid4()), send_before=time.monotonic() + 0.04)

    assert len(stripe_control.requests()) == 1


def test_an_intent_is_found_by_our_id_behind_more_than_a_page_of_others(
    gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    wanted = PaymentId(uuid4())
    made = create(gateway, wanted)
    for _ in range(104):
        gateway.v1.payment_intents.create({"amount": 500, "currency": "eur"})

    found = payment_intents.find(gateway, wanted, customer_id=None, since_epoch=time.time())

    assert isinstance(made, Charged)
    assert isinstance(found, Charged)
    assert (found.intent_id, found.charge_id) == (made.intent_id, made.charge_id)
    nobody = payment_intents.find(gateway, PaymentId(uuid4()), customer_id=None, since_epoch=time.time())
    assert isinstance(nobody, Absent)
    assert nobody.proof.startswith("none of 105 intents")


def test_absent_is_said_only_of_the_time_that_was_looked_at(gateway: Gateway, stripe_control: EmulatorControl) -> None:
    wanted = PaymentId(uuid4())
    stripe_control.set_clock(time.time())
    create(gateway, wanted)

    early = payment_intents.find(gateway, wanted, customer_id=None, since_epoch=time.time() + 200)
    late = payment_intents.find(gateway, wanted, customer_id=None, since_epoch=time.time() + 3600)

    assert isinstance(early, Charged)  # clocks may differ by a few minutes
    assert isinstance(late, Absent)


def test_a_list_that_breaks_off_proves_nothing(gateway: Gateway, stripe_control: EmulatorControl) -> None:
    stripe_control.add_fault("drop_before", method="GET", path=PATH)

    with pytest.raises(TryAgain):
        payment_intents.find(gateway, PaymentId(uuid4()), customer_id=None, since_epoch=time.time())


def test_an_intent_that_stripe_does_not_know_is_given_up(gateway: Gateway) -> None:
    with pytest.raises(GiveUp):
        payment_intents.retrieve(gateway, "pi_nobody")


def test_an_intent_that_is_not_confirmed_yet_is_waited_for(gateway: Gateway) -> None:
    body = {"amount": 500, "currency": "eur", "payment_method": "pm_card_visa"}
    unconfirmed = gateway.v1.payment_intents.create(body)

    with pytest.raises(TryAgain, match="not confirmed yet"):
        payment_intents.retrieve(gateway, unconfirmed["id"])


def create(gateway: Gateway, payment_id: PaymentId, *, method: str = "pm_card_visa", send_before: float = 0.0) -> Any:
    body = payment_intents.creation(
        tenant_id=TenantId(uuid4()),
        order_id=OrderId(uuid4()),
        payment_id=payment_id,
        amount=Money(4200, "eur"),
        payment_method_id=method,
        customer_id=None,
        capture="automatic",
    )
    send_before = send_before or time.monotonic() + 60
    return payment_intents.create(gateway, body, idempotency_key=uuid4().hex, send_before=send_before)
