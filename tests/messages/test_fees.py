"""The platform's fee: whole minor units, never more than the sale, half a unit rounds up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.fees import BASIS_POINTS, FeePlan, platform_fee
from messages.money import LARGEST_MINOR, CurrencyMismatchError, Money

AMOUNTS = st.integers(0, LARGEST_MINOR)
PLANS = st.builds(FeePlan, st.integers(0, BASIS_POINTS), st.integers(0, 10_000), st.just("eur"))


@pytest.mark.parametrize(
    ("minor", "basis_points", "fixed", "fee"),
    [
        (4200, 500, 50, 260),
        (1, 5000, 0, 1),  # half a cent rounds up
        (1, 4999, 0, 0),
        (100, 0, 0, 0),
        (30, 500, 50, 30),  # the sale is the cap
        (0, 10_000, 99, 0),
        (LARGEST_MINOR, 10_000, 1, LARGEST_MINOR),
    ],
)
def test_a_fee_is_percent_plus_a_fixed_part_capped_by_the_sale(
    minor: int, basis_points: int, fixed: int, fee: int
) -> None:
    assert platform_fee(Money(minor, "eur"), FeePlan(basis_points, fixed, "eur")) == Money(fee, "eur")


@given(AMOUNTS, PLANS)
def test_a_fee_is_never_negative_and_never_more_than_the_sale(minor: int, plan: FeePlan) -> None:
    assert 0 <= platform_fee(Money(minor, "eur"), plan).minor <= minor


@given(AMOUNTS, PLANS)
def test_a_fee_is_off_by_less_than_one_unit_from_the_exact_share(minor: int, plan: FeePlan) -> None:
    exact_times_ten_thousand = minor * plan.basis_points + plan.fixed_minor * BASIS_POINTS
    fee = platform_fee(Money(minor, "eur"), plan).minor

    assert fee == minor or abs(fee * BASIS_POINTS - exact_times_ten_thousand) <= BASIS_POINTS // 2


@given(AMOUNTS, AMOUNTS, PLANS)
def test_a_larger_sale_never_has_a_smaller_fee(one: int, other: int, plan: FeePlan) -> None:
    small, large = sorted((one, other))

    assert platform_fee(Money(small, "eur"), plan).minor <= platform_fee(Money(large, "eur"), plan).minor


def test_a_plan_in_another_currency_prices_nothing() -> None:
    with pytest.raises(CurrencyMismatchError):
        platform_fee(Money(100, "usd"), FeePlan(500, 50, "eur"))
