"""M12: shares add up to the cent, and currencies never mix."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from messages.money import DECIMALS, CurrencyMismatchError, Money

CURRENCIES = st.sampled_from(sorted(DECIMALS))
AMOUNTS = st.builds(Money, st.integers(), CURRENCIES)
WEIGHTS = st.lists(st.integers(min_value=0, max_value=10**9), min_size=1, max_size=20).filter(any)


@given(amount=AMOUNTS, weights=WEIGHTS)
def test_parts_always_add_up_to_the_whole(amount: Money, weights: list[int]) -> None:
    parts = amount.allocate(weights)

    assert sum(part.minor for part in parts) == amount.minor
    assert len(parts) == len(weights)
    assert {part.currency for part in parts} == {amount.currency}


@given(amount=AMOUNTS, weights=WEIGHTS)
def test_each_part_is_less_than_one_unit_off_its_exact_share(amount: Money, weights: list[int]) -> None:
    parts = amount.allocate(weights)

    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.minor - Fraction(amount.minor * weight, sum(weights))) < 1


@given(amount=AMOUNTS, weights=WEIGHTS)
def test_taking_back_is_the_mirror_image_of_giving(amount: Money, weights: list[int]) -> None:
    given_away = amount.allocate(weights)

    taken_back = (-amount).allocate(weights)

    assert taken_back == [-part for part in given_away]


@given(amount=AMOUNTS, weights=WEIGHTS)
def test_a_weight_of_nothing_gets_nothing(amount: Money, weights: list[int]) -> None:
    parts = amount.allocate([*weights, 0])

    assert parts[-1].minor == 0


@pytest.mark.parametrize(
    ("minor", "weights", "expected"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (101, [1, 1, 1], [34, 34, 33]),
        (1, [1, 1], [1, 0]),
        (10, [1, 2, 4], [1, 3, 6]),
        (0, [5, 0], [0, 0]),
    ],
)
def test_the_odd_cent_goes_to_the_largest_remainder_and_among_equals_to_the_earlier(
    minor: int, weights: list[int], expected: list[int]
) -> None:
    parts = Money(minor, "eur").allocate(weights)

    assert [part.minor for part in parts] == expected


@pytest.mark.parametrize("weights", [[], [0, 0], [2, -1]])
def test_weights_that_cannot_split_anything_are_refused(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights must be"):
        Money(100, "eur").allocate(weights)


@given(left=AMOUNTS, right=AMOUNTS)
def test_different_currencies_neither_add_nor_subtract(left: Money, right: Money) -> None:
    assume(left.currency != right.currency)

    with pytest.raises(CurrencyMismatchError, match=left.currency):
        left + right
    with pytest.raises(CurrencyMismatchError, match=right.currency):
        left - right


@given(left=st.integers(), right=st.integers(), currency=CURRENCIES)
def test_adding_and_taking_away_again_changes_nothing(left: int, right: int, currency: str) -> None:
    whole = Money(left, currency) + Money(right, currency)

    assert whole - Money(right, currency) == Money(left, currency)


@pytest.mark.parametrize("minor", [1.0, "100", True, None])
def test_an_amount_that_is_no_whole_number_is_refused(minor: Any) -> None:
    with pytest.raises(ValueError, match="an integer of minor units"):
        Money(minor, "eur")


@pytest.mark.parametrize("currency", ["EUR", "xxx", "", "bitcoin"])
def test_a_currency_the_fleet_does_not_charge_in_is_refused(currency: str) -> None:
    with pytest.raises(ValueError, match="is not supported"):
        Money(100, currency)


@pytest.mark.parametrize(
    ("minor", "currency", "expected"),
    [
        (1_234_567, "eur", "12,345.67 EUR"),
        (-5, "usd", "-0.05 USD"),
        (500, "jpy", "500 JPY"),
        (1_005, "kwd", "1.005 KWD"),
        (500_000, "ugx", "5,000.00 UGX"),
    ],
)
def test_an_amount_reads_with_the_decimals_of_its_currency(minor: int, currency: str, expected: str) -> None:
    assert str(Money(minor, currency)) == expected
