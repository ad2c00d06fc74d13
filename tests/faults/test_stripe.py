"""FAULTS 3-10, 12, 13: what Stripe's side may do to a call or a webhook. Each order still ends with one charge."""

from typing import Any

import pytest

from deploy.local.scenario.events import Publication
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean, assert_told_in_order
from tests.meanwhile import meanwhile

CREATE = {"method": "POST", "path": "/v1/payment_intents"}
NEEDS_3DS = "pm_card_threeDSecure2Required"
ORDERS = 12
A_DAY_AND_AN_HOUR = 25 * 3_600
ABSENT_SO_FAR = "Stripe lists no such%"


@pytest.mark.parametrize(
    ("effect", "details"),
    [
        pytest.param("drop_after", {"max_firings": 6}, id="03-executes-and-drops-the-answer"),
        pytest.param("truncate_body", {"max_firings": 6}, id="03-executes-and-cuts-the-answer"),
        pytest.param("latency", {"seconds": 1.5, "max_firings": 4}, id="03-answers-after-our-patience"),
        pytest.param("slow_execution", {"seconds": 1.5, "max_firings": 4}, id="03-still-runs-when-asked-again"),
        pytest.param("slow_body", {"seconds": 1.5, "max_firings": 4}, id="07-hangs-within-the-answer"),
        pytest.param("drop_before", {"max_firings": 6}, id="03-drops-without-executing"),
        pytest.param("error_with_effect", {"max_firings": 6}, id="04-executes-and-keeps-a-500"),
        pytest.param("error", {"max_firings": 6, "stored": True}, id="04-keeps-a-500-without-effect"),
        pytest.param("error", {"max_firings": 6, "status": 503, "stored": False}, id="06-503-once"),
        pytest.param("error_rolled_forward", {"max_firings": 4, "seconds": 1}, id="04-answers-500-and-executes-later"),
        pytest.param("non_json_body", {"max_firings": 6}, id="04-a-proxy-answers-in-html-after-the-effect"),
        pytest.param("key_in_use", {"max_firings": 8}, id="06-key-in-use"),
        pytest.param("lock_timeout", {"max_firings": 8}, id="06-lock-timeout"),
        pytest.param("rate_limit", {"max_firings": 8, "reason": "global-rate"}, id="06-rate-limit"),
    ],
)
def test_a_call_that_goes_wrong_at_stripe_charges_once(fleet: Fleet, effect: str, details: dict[str, Any]) -> None:
    fleet.control.add_fault(effect, **CREATE, **details)
    if effect != "error_rolled_forward":
        fleet.control.add_fault("webhook_drop")  # which would settle the payment before it is tried again
    orders, before = fleet.orders(ORDERS), firings(fleet, effect)

    fleet.publish(*orders)
    if effect == "error" and details["stored"]:
        the_day_passes(fleet, orders)

    assert_clean(fleet, hurry=True)
    assert firings(fleet, effect) - before >= details["max_firings"]
    assert {fleet.state_of(order) for order in orders} == {"succeeded"}


@pytest.mark.parametrize(
    ("effect", "details"),
    [
        pytest.param("webhook_duplicate", {"copies": 5}, id="09-five-times"),
        pytest.param("webhook_twin", {}, id="09-two-events-of-one-fact"),
        pytest.param("webhook_shuffle", {"seconds": 1}, id="10-shuffled"),
        pytest.param("webhook_wrong_signature", {"attempts": 2}, id="13-first-signed-wrongly"),
        pytest.param("webhook_old_timestamp", {"attempts": 1, "age_seconds": 600}, id="13-first-signed-long-ago"),
    ],
)
def test_webhooks_that_come_wrongly_change_nothing_twice(fleet: Fleet, effect: str, details: dict[str, Any]) -> None:
    fleet.control.add_fault(effect, **details)
    waiting = fleet.orders(6, payment_method_id=NEEDS_3DS)
    fleet.publish(*waiting, *fleet.orders(6))
    fleet.wait_until(lambda: {fleet.state_of(order) for order in waiting} == {"requires_action"}, "3DS is asked for")

    for order in waiting:
        fleet.control.complete_authentication(fleet.payment_of(order)["payment_intent_id"])
    fleet.wait_until(lambda: {fleet.state_of(order) for order in waiting} == {"succeeded"}, "3DS is settled")

    assert_clean(fleet)
    assert_told_in_order(fleet)


def test_what_the_bank_decides_is_found_by_the_sweep_when_webhooks_never_come(fleet: Fleet) -> None:
    """FAULTS 12."""
    fleet.control.add_fault("webhook_drop")
    with_buyer = fleet.order(payment_method_id=NEEDS_3DS)
    with_bank = fleet.order("Sunset Promotions", payment_method_id="pm_usBankAccount_processing")
    fleet.publish(with_buyer, with_bank)
    fleet.wait_until_quiet()
    fleet.control.complete_authentication(fleet.payment_of(with_buyer)["payment_intent_id"])
    fleet.control.settle(fleet.payment_of(with_bank)["payment_intent_id"])

    def found() -> bool:
        fleet.sweep()
        return {fleet.state_of(order) for order in (with_buyer, with_bank)} == {"succeeded"}

    fleet.wait_until(found, "the sweep has asked Stripe", poll=0.3)

    assert_clean(fleet)


def test_a_stripe_that_is_killed_under_load_is_asked_again_when_it_is_back(fleet: Fleet) -> None:
    before = fleet.service.published

    with fleet.publish_meanwhile(*fleet.orders(6), rate=40):
        fleet.wait_until(lambda: fleet.service.published - before >= 3, "orders are on their way")
        fleet.emulator.kill()
        with meanwhile(fleet.start_emulator):
            effects = fleet.control.effects()  # the control API is waited for, too

    assert effects
    assert_clean(fleet, hurry=True)


@pytest.mark.parametrize(
    ("effect", "generation"),
    [
        pytest.param("drop_after", 1, id="it-was-executed"),
        pytest.param("drop_before", 2, id="it-was-not"),
    ],
)
def test_a_call_older_than_its_key_is_looked_up_before_anything_is_sent(
    fleet: Fleet, effect: str, generation: int
) -> None:
    """FAULTS 5: the key is pruned at Stripe, so the same request again would be a second charge (M13)."""
    fleet.control.add_fault("webhook_drop")
    fleet.control.add_fault(effect, **CREATE)
    order = fleet.order()
    fleet.publish(order)
    fleet.wait_until(lambda: failures_of(fleet, order) > 0, "an unanswered call")
    if effect == "drop_after":  # a busy machine may lose a call before Stripe has seen it
        fleet.wait_until(lambda: was_charged(fleet, order), "the call that was executed")
    fleet.stop("workers")  # in good order: a call still under way would come to a Stripe that has forgotten its key

    fleet.control.advance_clock(A_DAY_AND_AN_HOUR)
    fleet.change(
        "UPDATE calls SET first_sent_at = first_sent_at - make_interval(secs => %s), "
        "last_sent_at = last_sent_at - make_interval(secs => %s) WHERE subject_id = %s",
        *(A_DAY_AND_AN_HOUR, A_DAY_AND_AN_HOUR, fleet.payment_of(order)["payment_id"]),
    )
    fleet.control.clear_faults()
    fleet.start("workers")

    assert_clean(fleet, hurry=True)
    assert fleet.state_of(order) == "succeeded"
    assert [call["generation"] for call in calls_of(fleet, order)][-1] == generation


def calls_of(fleet: Fleet, order: Publication) -> list[dict[str, Any]]:
    return fleet.rows(
        "SELECT c.* FROM calls c JOIN payments ON payment_id = subject_id WHERE order_id = %s ORDER BY generation",
        order.log["order_id"],
    )


def failures_of(fleet: Fleet, order: Publication) -> int:
    found = fleet.rows(
        "SELECT count(*) FROM message_failures JOIN payments USING (payment_id) WHERE order_id = %s",
        order.log["order_id"],
    )
    return int(found[0]["count"])


def was_charged(fleet: Fleet, order: Publication) -> bool:
    payment_id = str(fleet.payment_of(order)["payment_id"])
    return any(effect["metadata"].get("payment_id") == payment_id for effect in fleet.control.effects())


def firings(fleet: Fleet, effect: str) -> int:
    return int(fleet.control.summary()["firings"].get(effect, 0))


def the_day_passes(fleet: Fleet, orders: list[Publication]) -> None:
    """A key that replays a failure proves nothing, and absence is believed only a day later; that day passes now.

    For how many of the orders is chance: a quick retry may use up a fault that would have met another order's first
    try. What holds for each: it is charged, or was looked up at Stripe and put off with its first key, never sent anew.
    """

    def looked_at() -> list[dict[str, Any]]:
        return fleet.rows(_LOOKED_AT, ABSENT_SO_FAR, [order.log["order_id"] for order in orders])

    def decided() -> bool:
        fleet.hurry()  # however often it is looked up, a day has not passed
        found = looked_at()
        return len(found) == len(orders) and all(each["put_off"] or each["state"] == "succeeded" for each in found)

    fleet.wait_until(decided, "each order is charged or waits for a proof of absence", poll=0.3)
    assert any(each["put_off"] for each in looked_at())
    assert {call["generation"] for order in orders for call in calls_of(fleet, order)} == {1}
    fleet.change("UPDATE calls SET last_sent_at = last_sent_at - interval '25 hours' WHERE needs_lookup")


_LOOKED_AT = """
    SELECT state, EXISTS (
        SELECT FROM message_failures f WHERE f.payment_id = p.payment_id AND reason LIKE %s) AS put_off
    FROM payments p WHERE order_id = ANY(%s::uuid[])
"""
