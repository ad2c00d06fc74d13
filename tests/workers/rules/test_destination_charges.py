"""Refunds of destination charges: the platform gives the odd cent, and in the end everything is back."""

from hypothesis import given
from hypothesis import strategies as st

from messages.money import Money
from workers.rules.destination_charges import give_way
from workers.rules.refund_allocation import RefundableAmounts, RefundAllocation, allocate_refund
from workers.rules.sale_split import taken_back


def euros(minor: int) -> Money:
    return Money(minor, "eur")


def stripes(whole: int, reached: int, of: int) -> int:
    """Stripe's running total, rounded half up."""
    return (2 * whole * reached + of) // (2 * of)


@given(
    st.integers(1, 100_000),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.lists(st.integers(1, 20_000), max_size=8),
)
def test_however_a_charge_is_given_back_the_parts_add_up_and_the_venue_gives_what_stripe_took(
    sold: int, fee_points: int, royalty_points: int, pieces: list[int]
) -> None:
    fee = sold * fee_points // 10_000
    royalty = (sold - fee) * royalty_points // 10_000
    venue_left, royalty_left, given_fee, before = sold - fee - royalty, royalty, 0, 0
    in_account = venue_left

    for wanted in [*pieces, sold]:
        piece = min(wanted, sold - before)
        if not piece:
            continue
        reached = before + piece
        in_account -= piece - (stripes(fee + royalty, reached, sold) - stripes(fee + royalty, before, sold))
        books = RefundableAmounts(euros(sold), euros(fee), euros(0), euros(before), euros(given_fee), euros(0))
        parts = allocate_refund(euros(piece), books, fee_comes_back=True)
        by_rule = taken_back(parts.venue, [royalty_left, venue_left])[-1] if parts.venue.minor else euros(0)
        followed = give_way(
            parts, by_rule=by_rule, at_stripe=euros(venue_left - in_account), fee_left=euros(fee - given_fee)
        )
        of_venue = euros(venue_left - in_account) if followed else by_rule
        parts = followed or parts
        assert parts.platform.minor + parts.venue.minor == piece
        royalty_left -= parts.venue.minor - of_venue.minor
        venue_left -= of_venue.minor
        given_fee += parts.platform.minor
        before = reached
        assert min(royalty_left, venue_left, given_fee, fee - given_fee) >= 0

    assert (royalty_left, venue_left, given_fee, in_account) == (0, 0, fee, 0)


def test_what_differs_by_more_than_rounding_is_left_to_a_transfer() -> None:
    parts = RefundAllocation(euros(0), euros(100), euros(900), euros(0))

    assert give_way(parts, by_rule=euros(800), at_stripe=euros(0), fee_left=euros(500)) is None


def test_the_platform_never_gives_less_than_nothing_nor_more_than_its_fee() -> None:
    nothing = RefundAllocation(euros(0), euros(0), euros(900), euros(0))

    assert give_way(nothing, by_rule=euros(799), at_stripe=euros(800), fee_left=euros(500)) is None
    assert give_way(nothing, by_rule=euros(801), at_stripe=euros(800), fee_left=euros(0)) is None
