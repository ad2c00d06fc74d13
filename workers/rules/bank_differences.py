"""What a difference between the bank and the book is called, and in which words. Values in, values out."""

from messages.money import DECIMALS, Money

MISSING_IN_BOOK = "missing_in_book"
AMOUNT_DIFFERS = "amount_differs"
UNKNOWN_TENANT = "unknown_tenant"


def verdict(*, book_minor: int | None, elsewhere: bool, has_owner: bool) -> str:
    """The type of the case for a line of the bank that the book does not explain.

    `book_minor` is what the book holds of it in the line's currency (None: nothing), `elsewhere` whether it left money
    in another currency, `has_owner` whether one of our tenants is behind it.
    """
    if book_minor is not None or elsewhere:
        return AMOUNT_DIFFERS
    return MISSING_IN_BOOK if has_owner else UNKNOWN_TENANT


def unexplained(*, net_minor: int, book_minor: int | None, currency: str) -> Money | None:
    """What the bank has and the book has not; None in a currency that the fleet does not know."""
    return Money(net_minor - (book_minor or 0), currency) if currency in DECIMALS else None


def sentence(
    *, category: str, source: str | None, net_minor: int, book_minor: int | None, currency: str, elsewhere: bool
) -> str:
    """What is off, for a person who sees it for the first time."""
    bank = f"Stripe moved {_amount(net_minor, currency)} ({category.replace('_', ' ')} of {source or 'no object'})"
    held = "nothing of it" if book_minor is None else _amount(book_minor, currency)
    return f"{bank}; the book holds {held}" + (", and money in another currency" if elsewhere else "")


def _amount(minor: int, currency: str) -> str:
    return str(Money(minor, currency)) if currency in DECIMALS else f"{minor} {currency} minor units"
