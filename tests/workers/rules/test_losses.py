"""Losses and refunds share one rule: whatever comes back in whatever pieces, the parts add up to the cent."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from messages.money import Money
from workers.rules.disputes import moved, stage_of
from workers.rules.refund_allocation import RefundableAmounts, RefundAllocation, allocate_refund

MINOR = st.integers(1, 1_000_000)


def eur(minor: int) -> Money:
    return Money(minor, "eur")


@st.composite
def sales(draw: st.DrawFn) -> tuple[RefundableAmounts, list[int], set[int]]:
    """What was sold, the pieces in which all of it comes back, and which of them are losses that are won in between."""
    captured = draw(MINOR)
    cuts = draw(st.lists(st.integers(0, captured), max_size=6))
    edges = sorted({0, captured, *cuts})
    pieces = [after - before for before, after in pairwise(edges)]
    won = draw(st.sets(st.integers(0, len(pieces) - 1))) if pieces else set()
    return (
        RefundableAmounts(eur(captured), eur(draw(st.integers(0, captured))), eur(0), eur(0), eur(0), eur(0)),
        pieces,
        won,
    )


@given(sales())
def test_pieces_add_up_to_the_whole_fee_also_when_losses_were_won_in_between(
    sale: tuple[RefundableAmounts, list[int], set[int]],
) -> None:
    books, pieces, won = sale

    for number, minor in enumerate(pieces):
        if number in won:  # lost, and taken back: as if it had never been
            after = book(books, allocate_refund(eur(minor), books, fee_comes_back=True))
            assert after.debited - books.debited == eur(minor)
        books = book(books, allocate_refund(eur(minor), books, fee_comes_back=True))

    assert (books.debited, books.fee_returned) == (books.captured, books.fee)


@given(MINOR, MINOR, MINOR, st.booleans())
def test_the_parts_of_a_loss_are_the_loss_and_none_is_negative(
    captured: int, fee: int, lost: int, fee_comes_back: bool
) -> None:
    """Also of a loss beyond what is left of the sale, which a bank can take after a partial refund."""
    books = RefundableAmounts(eur(captured), eur(min(fee, captured)), eur(fee % 7), eur(captured // 2), eur(0), eur(0))

    parts = allocate_refund(eur(lost), books, fee_comes_back=fee_comes_back)

    assert parts.obligation + parts.platform + parts.venue == eur(lost)
    assert min(parts.obligation.minor, parts.platform.minor, parts.venue.minor) >= 0
    assert parts.platform.minor <= books.fee.minor
    assert parts.fee_borne.minor <= parts.venue.minor


def test_a_dispute_has_its_stage_by_its_status_and_a_decision_belongs_to_the_stage_it_ends() -> None:
    assert stage_of("warning_closed", "inquiry") == "inquiry"
    assert stage_of("needs_response", "inquiry") == "chargeback"
    assert stage_of("won", "chargeback") == "chargeback"
    assert stage_of("appeal_under_review", "chargeback") == "appeal"
    assert stage_of("lost", "appeal") == "appeal"
    assert stage_of("won", None) == "chargeback"


def test_what_moved_is_said_in_the_disputes_currency() -> None:
    assert moved(eur(-4200), eur(4200)) == eur(-4200)
    assert moved(eur(-4100), eur(4200)) == eur(-4100)  # what the balance says goes before what the dispute says
    assert moved(Money(-4600, "usd"), eur(4200)) == eur(-4200)
    assert moved(Money(4550, "usd"), eur(4200)) == eur(4200)


def book(books: RefundableAmounts, parts: RefundAllocation) -> RefundableAmounts:
    return replace(
        books,
        debited=books.debited + parts.platform + parts.venue,
        fee_returned=books.fee_returned + parts.platform,
    )
