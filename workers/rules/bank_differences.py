"""The case type of a difference between Stripe and the ledger, and its description. Values in, values out."""

from messages.money import DECIMALS, Money

MISSING_IN_BOOK = "missing_in_book"
AMOUNT_DIFFERS = "amount_differs"
UNKNOWN_TENANT = "unknown_tenant"


def verdict(*, book_minor: int | None, elsewhere: bool, has_owner: bool) -> str:
    """The type of the case for a balance transaction that the ledger does not explain.

    `book_minor` is the ledger's amount in the currency of the line (None: no entry), `elsewhere` whether the ledger has
    an entry in another currency, `has_owner` whether it belongs to one of our tenants.
    """
    if book_minor is not None or elsewhere:
        return AMOUNT_DIFFERS
    return MISSING_IN_BOOK if has_owner else UNKNOWN_TENANT


def unexplained(*, net_minor: int, book_minor: int | None, currency: str) -> Money | None:
    """Stripe's amount less the ledger's; None in a currency that the fleet does not know."""
    return Money(net_minor - (book_minor or 0), currency) if currency in DECIMALS else None


def sentence(
    *, category: str, source: str | None, net_minor: int, book_minor: int | None, currency: str, elsewhere: bool
) -> str:
    """The mismatch, for an operator who sees it for the first time."""
    bank = f"Stripe moved {_amount(net_minor, currency)} ({category.replace('_', ' ')} of {source or 'no object'})"
    held = "no entry for it" if book_minor is None else _amount(book_minor, currency)
    return f"{bank}; the ledger has {held}" + (", and an entry in another currency" if elsewhere else "")


def _amount(minor: int, currency: str) -> str:
    return str(Money(minor, currency)) if currency in DECIMALS else f"{minor} {currency} minor units"
