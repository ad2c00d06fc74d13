"""What a difference is called."""

import pytest

from messages.money import Money
from workers.rules.bank_differences import sentence, unexplained, verdict


@pytest.mark.parametrize(
    ("book_minor", "elsewhere", "has_owner", "expected"),
    [
        (None, False, True, "missing_in_book"),
        (None, False, False, "unknown_tenant"),
        (4000, False, True, "amount_differs"),
        (0, False, False, "amount_differs"),
        (None, True, True, "amount_differs"),
    ],
)
def test_each_difference_has_one_name(book_minor: int | None, elsewhere: bool, has_owner: bool, expected: str) -> None:
    assert verdict(book_minor=book_minor, elsewhere=elsewhere, has_owner=has_owner) == expected


def test_what_is_not_explained_is_what_the_bank_has_and_the_book_has_not() -> None:
    assert unexplained(net_minor=-1000, book_minor=-400, currency="eur") == Money(-600, "eur")
    assert unexplained(net_minor=4048, book_minor=None, currency="eur") == Money(4048, "eur")
    assert unexplained(net_minor=4048, book_minor=None, currency="xts") is None


def test_the_sentence_says_both_sides() -> None:
    both = {"category": "charge", "source": "ch_1", "net_minor": 4048, "currency": "eur"}

    assert sentence(**both, book_minor=4000, elsewhere=False) == (  # type: ignore[arg-type]
        "Stripe moved 40.48 EUR (charge of ch_1); the ledger has 40.00 EUR"
    )
    assert sentence(**both, book_minor=None, elsewhere=True).endswith(  # type: ignore[arg-type]
        "the ledger has no entry for it, and an entry in another currency"
    )
