"""The table of errors: every class of Stripe has one row, and every fault on the wire ends as the documents say."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import stripe
from stripe._error import StripeErrorWithParamCode

from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.faults import API_EFFECTS
from deploy.local.stripe.process import EmulatorProcess, free_port
from messages.ids import OrderId, PaymentId, TenantId
from messages.money import Money
from messages.verdicts import GiveUp, TryAgain, TryLater
from stripe_client import errors, payment_intents
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Charged, Declined, PaymentOutcome, Refused, Unanswered
from tests.conftest import stripe_settings

Ends = type[Charged] | type[Unanswered] | type[TryAgain] | type[TryLater] | type[GiveUp]
PATH = "/v1/payment_intents"
SPENT = {"key_is_spent": True}
ALIVE = {"key_is_spent": False}


def test_every_class_of_stripes_errors_has_exactly_one_row() -> None:
    rows = [kind for kind, _ in errors.TABLE]

    assert set(rows) == leaves(stripe.StripeError)
    assert len(rows) == len(set(rows))


def test_an_error_stripe_adds_tomorrow_gives_up_and_asks_a_person() -> None:
    class BrandNewError(stripe.StripeError):
        pass

    meaning = errors.sort(BrandNewError("new", http_status=499))  # type: ignore[no-untyped-call]

    assert isinstance(meaning, GiveUp)
    assert "an error we do not know: BrandNewError 499" in meaning.reason


# effect and details -> how a create ends, and whether the key may still be sent
FAULTS: list[tuple[str, dict[str, Any], Ends, dict[str, bool]]] = [
    ("latency", {"seconds": 0.1}, Charged, {}),
    ("latency", {"seconds": 2.5}, Unanswered, ALIVE),
    ("slow_execution", {"seconds": 2.5}, Unanswered, ALIVE),
    ("drop_before", {}, Unanswered, ALIVE),
    ("drop_after", {}, Unanswered, ALIVE),
    ("truncate_body", {}, Unanswered, ALIVE),
    ("slow_body", {"seconds": 2.5}, Unanswered, ALIVE),
    ("non_json_body", {}, Unanswered, ALIVE),
    ("non_json_body", {"status": 200}, Unanswered, ALIVE),
    ("rate_limit", {"reason": "global-rate"}, TryLater, {}),
    ("rate_limit", {"reason": "endpoint-concurrency"}, TryLater, {}),
    ("lock_timeout", {}, TryAgain, {}),
    ("key_in_use", {}, TryAgain, {}),
    ("error", {"status": 500}, Unanswered, ALIVE),
    ("error", {"status": 503}, Unanswered, ALIVE),
    ("error", {"status": 424}, Unanswered, ALIVE),
    ("error", {"status": 500, "should_retry": False}, Unanswered, SPENT),
    ("error", {"status": 500, "stored": True}, Unanswered, SPENT),
    ("error_with_effect", {}, Unanswered, SPENT),
    ("error_rolled_forward", {"seconds": 0.1}, Unanswered, SPENT),
]


def test_every_fault_of_the_emulator_is_tried_here() -> None:
    assert {effect for effect, *_ in FAULTS} == set(API_EFFECTS)


@pytest.mark.parametrize(("effect", "details", "ends", "traits"), FAULTS, ids=[f"{f[0]}-{f[1]}" for f in FAULTS])
def test_each_fault_on_the_wire_ends_as_the_table_says(
    stripe_server: EmulatorProcess, stripe_control: EmulatorControl, effect: str, details: dict[str, Any], ends: Ends,
    traits: dict[str, bool],
) -> None:  # fmt: skip
    gateway = Gateway(stripe_settings(stripe_server.base_url, stripe_read_timeout_seconds=1.0))
    stripe_control.add_fault(effect, path=PATH, **details)
    key = uuid4().hex

    ended = run(lambda: create(gateway, key=key))

    assert type(ended) is ends, ended
    assert {name: getattr(ended, name) for name in traits} == traits
    assert len([effect for effect in stripe_control.effects() if effect["key"] == key]) <= 1


def test_what_passes_in_a_moment_is_tried_again_with_the_same_key_at_once(
    gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    for effect in ("lock_timeout", "key_in_use"):
        stripe_control.add_fault(effect, path=PATH, max_firings=1)

    assert isinstance(create(gateway), Charged)
    assert len(stripe_control.effects()) == 1
    assert len({request["key"] for request in stripe_control.requests()}) == 1


def test_a_connection_that_broke_after_sending_is_not_sent_again_by_the_gateway(
    gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    stripe_control.add_fault("drop_before", path=PATH)

    assert isinstance(create(gateway), Unanswered)
    assert len(stripe_control.firings()) == 1


def test_a_server_that_is_not_there_was_sent_nothing() -> None:
    ended = create(Gateway(stripe_settings(f"http://127.0.0.1:{free_port()}")))

    assert isinstance(ended, Unanswered)
    assert "not sent" in ended.reason


def test_a_decline_carries_its_intent_and_its_code(gateway: Gateway) -> None:
    ended = create(gateway, method="pm_card_visa_chargeDeclinedStolenCard")

    assert isinstance(ended, Declined)
    assert ended.intent_id is not None
    assert (ended.code, ended.decline_code, ended.public_reason) == ("card_declined", "stolen_card", "card_declined")


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"amount": Money(1, "eur")}, "amount_too_small"), ({"method": "pm_nobody"}, "resource_missing")],
)
def test_what_is_the_orders_own_fault_is_an_answer(gateway: Gateway, changes: dict[str, Any], code: str) -> None:
    ended = create(gateway, **changes)

    assert isinstance(ended, Refused)
    assert ended.code == code
    assert ended.request_id


def test_a_wrong_key_waits_for_a_person(stripe_server: EmulatorProcess, stripe_control: EmulatorControl) -> None:
    stripe_control.add_fault("error", path=PATH, status=403)
    gateway = Gateway(stripe_settings(stripe_server.base_url))

    ended = run(lambda: create(gateway))

    assert isinstance(ended, TryLater)
    assert "mend STRIPE_SECRET_KEY" in ended.reason


def test_the_same_key_with_another_body_is_a_bug_of_ours(gateway: Gateway) -> None:
    create(gateway, key="one-key")

    ended = run(lambda: create(gateway, key="one-key"))  # another payment, so another body

    assert isinstance(ended, GiveUp)
    assert "bug of ours" in ended.reason


def test_an_errors_words_hold_no_key_and_no_payload(stripe_server: EmulatorProcess) -> None:
    stripe_server.control().reset()
    gateway = Gateway(stripe_settings(stripe_server.base_url))

    ended = create(gateway, method="pm_card_4242424242424242")

    assert "sk_test" not in repr(ended)
    assert "4242424242424242" not in repr(ended)


def create(
    gateway: Gateway, *, method: str = "pm_card_visa", amount: Money | None = None, key: str | None = None
) -> PaymentOutcome:
    body = payment_intents.creation(
        tenant_id=TenantId(uuid4()),
        order_id=OrderId(uuid4()),
        payment_id=PaymentId(uuid4()),
        amount=amount or Money(4200, "eur"),
        payment_method_id=method,
        customer_id=None,
        capture="automatic",
    )
    return payment_intents.create(gateway, body, idempotency_key=key or uuid4().hex, send_before=time.monotonic() + 60)


def run(call: Callable[[], object]) -> object:
    """What a call returned, or the verdict that it raised."""
    try:
        return call()
    except (TryAgain, TryLater, GiveUp) as verdict:
        return verdict


def leaves(kind: type[stripe.StripeError]) -> set[type[stripe.StripeError]]:
    """The classes stripe-python raises itself; those of OAuth, which the fleet does not speak, are left out."""
    below = {found for child in kind.__subclasses__() for found in {child} | leaves(child)}
    named = {found for found in below if found.__module__.startswith("stripe.") and "oauth" not in found.__module__}
    return named - {StripeErrorWithParamCode}  # only a base of others
