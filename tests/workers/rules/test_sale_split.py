"""Cuts of a sale: they add up to the cent, whatever the amounts, and come back to the cent, in whatever pieces."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.money import DECIMALS, LARGEST_MINOR, Money
from workers.rules.sale_split import RoyaltyTerm, legs, taken_back

SELLER = UUID(int=99)
CURRENCIES = st.sampled_from(sorted(DECIMALS))


@st.composite
def sales(draw: st.DrawFn) -> tuple[Money, Money, list[RoyaltyTerm]]:
    """A sale, a fee of at most the sale, and royalties of at most the whole."""
    amount = draw(st.integers(1, LARGEST_MINOR))
    currency = draw(CURRENCIES)
    fee = draw(st.integers(0, amount))
    points = draw(st.lists(st.integers(0, 3_000), max_size=8).filter(lambda found: sum(found) <= 10_000))
    return (
        Money(amount, currency),
        Money(fee, currency),
        [RoyaltyTerm(UUID(int=n), part) for n, part in enumerate(points)],
    )


@given(sales())
def test_legs_add_up_to_the_sale_less_the_fee_and_none_is_negative(
    sale: tuple[Money, Money, list[RoyaltyTerm]],
) -> None:
    sold, fee, royalties = sale

    cut = legs(sold, fee, royalties, seller_id=SELLER, basis="seller")

    assert sum(leg.amount.minor for leg in cut) == sold.minor - fee.minor
    assert min(leg.amount.minor for leg in cut) >= 0
    assert len(cut) == len(royalties) + 1


@given(sales(), st.randoms(use_true_random=False))
def test_the_order_in_which_settings_are_read_changes_no_cent(
    sale: tuple[Money, Money, list[RoyaltyTerm]], random: object
) -> None:
    sold, fee, royalties = sale
    shuffled = list(royalties)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert legs(sold, fee, royalties, seller_id=SELLER, basis="venue") == legs(
        sold, fee, shuffled, seller_id=SELLER, basis="venue"
    )


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6), st.data())
def test_what_comes_back_in_pieces_never_takes_more_than_a_leg_has_and_in_the_end_takes_it_all(
    amounts: list[int], data: st.DataObject
) -> None:
    left = list(amounts)
    for last in [False] * 8 + [True]:
        piece = sum(left) if last else data.draw(st.integers(0, sum(left)))
        parts = taken_back(Money(piece, "eur"), left)
        left = [have - part.minor for have, part in zip(left, parts, strict=True)]
        assert min(left) >= 0

    assert left == [0] * len(amounts)


def test_a_royalty_is_of_what_the_buyer_paid_and_whoever_sells_bears_the_fee() -> None:
    cut = legs(
        Money(10_000, "eur"), Money(550, "eur"), [RoyaltyTerm(UUID(int=1), 1_000)], seller_id=SELLER, basis="venue"
    )

    assert [(leg.basis, leg.amount.minor) for leg in cut] == [("royalty", 1_000), ("venue", 8_450)]


def test_the_earlier_of_equal_recipients_gets_the_odd_cent() -> None:
    halves = [RoyaltyTerm(UUID(int=n), 5_000) for n in (2, 1)]

    cut = legs(Money(5, "eur"), Money(0, "eur"), halves, seller_id=SELLER, basis="venue")

    assert [(leg.recipient_id.int, leg.amount.minor) for leg in cut] == [(1, 3), (2, 2), (99, 0)]


def test_a_fee_that_leaves_too_little_cuts_the_royalties_in_proportion_and_leaves_the_seller_nothing() -> None:
    royalties = [RoyaltyTerm(UUID(int=1), 6_000), RoyaltyTerm(UUID(int=2), 3_000)]

    cut = legs(Money(100, "eur"), Money(40, "eur"), royalties, seller_id=SELLER, basis="seller")

    assert [leg.amount.minor for leg in cut] == [40, 20, 0]


def test_royalties_of_more_than_the_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="10001 basis points"):
        legs(Money(100, "eur"), Money(0, "eur"), [RoyaltyTerm(SELLER, 10_001)], seller_id=SELLER, basis="venue")


def test_more_than_is_left_cannot_come_back() -> None:
    with pytest.raises(ValueError, match="minor units left"):
        taken_back(Money(11, "eur"), [5, 5])
