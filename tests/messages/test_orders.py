"""An order that should not be charged is refused at the door, in words its sender can act on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from messages.money import LARGEST_MINOR
from messages.orders import OrderPlaced

Change = Callable[[dict[str, Any]], object]


def an_order(*prices: int) -> dict[str, Any]:
    tickets = [
        {"ticket_id": f"019aa5b2-7c81-7000-8000-{place:012d}", "face_price_minor": price, "seat": f"A-{place}"}
        for place, price in enumerate(prices or (8_500, 8_500))
    ]
    return {
        "order_id": "019aa5b2-7c80-7b11-a2d4-6e8f0c1b3a59",
        "tenant_id": "019aa5b0-0c00-7a3e-9f1d-5b8c2f6e0a11",
        "venue_id": "019aa5b0-1a2b-7d3c-8e4f-5a6b7c8d9e0f",
        "event_id": "019aa5b0-2b3c-7e4d-9f50-6b7c8d9e0f1a",
        "buyer_id": "buyer-1",
        "tickets": tickets,
        "amount": {"minor": sum(prices or (17_000,)), "currency": "eur"},
        "payment_method_id": "pm_card_visa",
        "idempotency_key": "click-0001",
    }


def read(order: dict[str, Any]) -> OrderPlaced:
    return OrderPlaced.model_validate_json(json.dumps(order))


@given(prices=st.lists(st.integers(1, LARGEST_MINOR // 100), min_size=1, max_size=100))
def test_an_order_whose_lines_explain_its_total_is_read(prices: list[int]) -> None:
    order = read(an_order(*prices))

    assert order.amount.minor == sum(prices)
    assert (order.capture, order.customer_id, order.device.ip) == ("automatic", None, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda order: order["amount"].update(minor=17_001), "the tickets add up to 17000, but the amount is 17001"),
        (lambda order: order["amount"].update(currency="usd "), "currency"),
        (lambda order: order["amount"].update(currency="xau"), "currency 'xau' is not supported"),
        (lambda order: order["amount"].update(minor=0), "between 1 and 99999999 minor units, not 0"),
        (lambda order: order["amount"].update(minor=100_000_000), "between 1 and 99999999 minor units, not 100000000"),
        (lambda order: order["amount"].update(minor=170.5), "amount"),
        (lambda order: order.update(tickets=[order["tickets"][0]] * 2), "a ticket is listed twice"),
        (lambda order: order.update(tickets=[]), "at least 1"),
        (lambda order: order["tickets"][0].update(face_price_minor=-1), "greater than or equal to 0"),
        (lambda order: order.update(payment_method_id="4242424242424242"), "payment_method_id"),
        (lambda order: order.update(customer_id="jane"), "customer_id"),
        (lambda order: order.update(card_number="4242424242424242"), "card_number"),
        (lambda order: order.update(idempotency_key="short"), "at least 8"),
        (lambda order: order.update(idempotency_key="with a space"), "idempotency_key"),
        (lambda order: order.update(capture="later"), "'automatic' or 'manual'"),
        (lambda order: order.pop("tenant_id"), "tenant_id"),
        (lambda order: order.update(order_id="42"), "order_id"),
        (lambda order: order.update(device={"ip": "somewhere"}), "IPv4 or IPv6"),
    ],
)
def test_a_bad_order_is_refused_with_the_reason(change: Change, words: str) -> None:
    order = an_order()
    change(order)

    with pytest.raises(ValidationError) as refused:
        read(order)

    assert words in str(refused.value)


def test_an_order_for_free_tickets_alone_is_refused() -> None:
    with pytest.raises(ValidationError, match="between 1 and"):
        read(an_order(0, 0))


def test_an_order_cannot_be_changed_after_it_was_read() -> None:
    order = read(an_order())

    with pytest.raises(ValidationError, match="frozen"):
        order.buyer_id = "somebody else"  # type: ignore[misc]
