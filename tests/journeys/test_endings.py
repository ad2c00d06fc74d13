"""One order on its whole way, once for each way in which it can end."""

from typing import Any

import pytest

from tests.journeys.fleet import Fleet, payload_of
from tests.journeys.truth import assert_clean

_SUCCEEDED, _FAILED, _ASKED = "payment.succeeded", "payment.failed", "payment.requires_action"
TRACE = "5f3c9ad2b1e84c7799aa00112233beef"
NEEDS_3DS = "pm_card_threeDSecure2Required"


@pytest.mark.parametrize(
    ("tenant", "order", "ending", "told"),
    [
        pytest.param("Rhine Arena", {"payment_method_id": "pm_card_visa"}, "succeeded", [_SUCCEEDED], id="charged"),
        pytest.param("Kumo Presents", {"amount_minor": 9801}, "succeeded", [_SUCCEEDED], id="zero-decimal-currency"),
        pytest.param("Harbour Live", {"amount_minor": 33}, "succeeded", [_SUCCEEDED], id="odd-pennies"),
        pytest.param("Rhine Arena", {"capture": "manual"}, "authorized", ["payment.authorized"], id="held"),
        pytest.param(
            "Rhine Arena", {"payment_method_id": "pm_card_visa_chargeDeclined"}, "failed", [_FAILED], id="declined"
        ),
        pytest.param(
            "Rhine Arena", {"payment_method_id": "pm_nobody_knows_this_card"}, "failed", [_FAILED], id="refused"
        ),
        pytest.param("Rhine Arena", {"payment_method_id": NEEDS_3DS}, "requires_action", [_ASKED], id="left-at-3ds"),
    ],
)
def test_an_order_ends_as_its_card_says_and_the_order_service_hears_of_it(
    fleet: Fleet, tenant: str, order: dict[str, Any], ending: str, told: list[str]
) -> None:
    placed = fleet.order(tenant, **order)

    fleet.publish(placed)

    assert_clean(fleet)
    payment = fleet.payment_of(placed)
    assert payment["state"] == ending
    assert fleet.told()[payment["payment_id"]] == told


@pytest.mark.parametrize(
    ("buyer", "ending", "told"),
    [
        pytest.param("succeed", "succeeded", [_ASKED, _SUCCEEDED], id="authenticates"),
        pytest.param("fail", "failed", [_ASKED, _FAILED], id="fails"),
    ],
)
def test_an_order_waits_for_the_buyer_and_ends_as_the_buyer_acts(
    fleet: Fleet, buyer: str, ending: str, told: list[str]
) -> None:
    placed = fleet.order(payment_method_id=NEEDS_3DS)
    fleet.publish(placed)
    fleet.wait_until_quiet()

    fleet.control.complete_authentication(fleet.payment_of(placed)["payment_intent_id"], buyer)
    fleet.wait_until(lambda: fleet.state_of(placed) == ending, f"the payment {ending}")

    assert_clean(fleet)
    assert fleet.told()[fleet.payment_of(placed)["payment_id"]] == told


@pytest.mark.parametrize(
    ("bank", "ending", "told"), [("succeed", "succeeded", [_SUCCEEDED]), ("fail", "failed", [_FAILED])]
)
def test_an_order_waits_for_the_bank_and_ends_as_the_bank_says(
    fleet: Fleet, bank: str, ending: str, told: list[str]
) -> None:
    placed = fleet.order("Sunset Promotions", payment_method_id="pm_usBankAccount_processing")
    fleet.publish(placed)
    fleet.wait_until_quiet()
    assert fleet.state_of(placed) == "processing"

    fleet.control.settle(fleet.payment_of(placed)["payment_intent_id"], bank)
    fleet.wait_until(lambda: fleet.state_of(placed) == ending, f"the payment {ending}")

    assert_clean(fleet)
    assert fleet.told()[fleet.payment_of(placed)["payment_id"]] == told


def test_the_same_order_event_again_changes_nothing(fleet: Fleet) -> None:
    placed = fleet.order()
    fleet.publish(placed, placed)
    fleet.wait_until_quiet()

    fleet.publish(placed)

    assert_clean(fleet)
    assert len(fleet.rows("SELECT FROM payments WHERE order_id = %s", placed.log["order_id"])) == 1
    assert fleet.told()[fleet.payment_of(placed)["payment_id"]] == [_SUCCEEDED]


def test_a_payment_whose_answers_are_all_lost_is_settled_by_its_webhook_alone(fleet: Fleet) -> None:
    fleet.control.add_fault("drop_after", method="POST", path="/v1/payment_intents")
    fleet.arm("charge.after_call")
    placed = fleet.order(trace_id=TRACE)

    fleet.publish(placed)

    assert_clean(fleet)
    fleet.control.clear_faults()
    moves = fleet.rows(
        "SELECT to_state, by FROM payment_history WHERE payment_id = %s ORDER BY seq",
        fleet.payment_of(placed)["payment_id"],
    )
    assert [(move["to_state"], move["by"]) for move in moves] == [
        ("requested", "intake"),
        ("charging", "charge"),
        ("succeeded", "webhook"),
    ]
    assert fleet.crashes_left("charge.after_call") == 0
    (said,) = [
        line
        for line in map(payload_of, fleet.log_lines())
        if line and line["message"].startswith("charged") and line["trace_id"] == TRACE
    ]
    assert (said["actor"], said["payment_id"]) == ("webhook", str(fleet.payment_of(placed)["payment_id"]))
