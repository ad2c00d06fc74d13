"""What chaos reads from the bank's recorder: each thing once, with its amount, and never more back than was taken."""

from typing import Any

import pytest

from deploy.local.scenario.recorder import Sums, compare

Row = dict[str, Any]
BOOKED_CHARGE = {"payment_id": "p1", "amount_minor": 1000, "currency": "eur"}
BOOKED_REFUND = {"stripe_refund_id": "re_1", "amount_minor": 400, "currency": "eur"}


def effect(kind: str, object_id: str, amount: int, **metadata: str) -> Row:
    return {
        "kind": kind,
        "object_id": object_id,
        "payment_intent": "pi_1",
        "amount": amount,
        "currency": "eur",
        "metadata": metadata or None,
    }


CHARGE = effect("charge", "ch_1", 1000, payment_id="p1")
REFUND = effect("refund", "re_1", 400, refund_id="r1", payment_id="p1")


def compared(*effects: Row, refunds: list[Row]) -> Sums:
    sums = Sums()
    compare(sums, list(effects), [BOOKED_CHARGE], refunds)
    return sums


def test_a_charge_and_its_refund_that_are_booked_as_they_were_made_are_clean() -> None:
    sums = compared(CHARGE, REFUND, refunds=[BOOKED_REFUND])

    assert sums.clean, sums.findings
    assert (sums.charges, sums.refunds) == (1, 1)


def test_a_refund_of_ours_that_was_made_twice_is_duplicated() -> None:
    again = effect("refund", "re_2", 400, refund_id="r1", payment_id="p1")

    sums = compared(CHARGE, REFUND, again, refunds=[BOOKED_REFUND])

    assert sums.duplicated == 1
    assert sums.findings == ["the recorder has 2 refunds of refund r1"]


def test_two_refunds_in_the_dashboard_are_none_of_ours_and_so_no_duplicate() -> None:
    sums = compared(CHARGE, effect("refund", "re_8", 100), effect("refund", "re_9", 100), refunds=[])

    assert sums.clean, sums.findings


def test_more_given_back_than_was_taken_is_unexpected_unless_some_of_it_came_back() -> None:
    too_much = effect("refund", "re_7", 700)

    assert compared(CHARGE, REFUND, too_much, refunds=[BOOKED_REFUND]).unexpected == 1
    came_back = effect("refund_failure", "re_7", 700)
    assert compared(CHARGE, REFUND, too_much, came_back, refunds=[BOOKED_REFUND]).clean


@pytest.mark.parametrize(
    "booked",
    [BOOKED_REFUND | {"amount_minor": 401}, BOOKED_REFUND | {"stripe_refund_id": "re_of_nobody"}],
    ids=["another amount", "a refund that was never made"],
)
def test_a_refund_that_is_booked_as_it_was_not_made_is_unexpected(booked: Row) -> None:
    assert compared(CHARGE, REFUND, refunds=[booked]).unexpected == 1
