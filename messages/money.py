"""Money is a whole number of minor units and a currency; nothing here ever rounds silently.

Minor units are Stripe's, not ISO 4217's: isk and ugx are sent times one hundred although they have no decimals
(docs.stripe.com/currencies), so exponents come from the table below and from nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

# Currencies the fleet charges in, with the decimals of Stripe's minor unit (docs.stripe.com/currencies).
DECIMALS: dict[str, int] = {
    **dict.fromkeys(["aud", "cad", "chf", "czk", "dkk", "eur", "gbp", "hkd", "huf", "isk", "mxn"], 2),
    **dict.fromkeys(["nok", "nzd", "pln", "sek", "sgd", "twd", "ugx", "usd"], 2),
    **dict.fromkeys(["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv"], 0),
    **dict.fromkeys(["xaf", "xof", "xpf"], 0),
    **dict.fromkeys(["bhd", "jod", "kwd", "omr", "tnd"], 3),
}

# Eight digits is the maximum that Stripe's specification promises for every card brand.
LARGEST_MINOR = 99_999_999


class CurrencyMismatchError(ValueError):
    """An operation on amounts of different currencies; the fleet never converts."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (cents, or whole yen) of one currency."""

    minor: Annotated[int, Field(strict=True)]  # rejects "17000", 17000.0 and true
    currency: Annotated[str, Field(pattern="^[a-z]{3}$")]

    def __post_init__(self) -> None:
        """Negative amounts are allowed: the ledger needs them.

        Raises:
            ValueError: the currency is not in DECIMALS, or minor is not an integer.
        """
        if type(self.minor) is not int:
            raise ValueError(f"an amount is an integer of minor units, not {type(self.minor).__name__}")
        if self.currency not in DECIMALS:
            raise ValueError(f"currency {self.currency!r} is not supported")

    def __add__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __str__(self) -> str:
        decimals = DECIMALS[self.currency]
        sign, digits = ("-" if self.minor < 0 else ""), str(abs(self.minor)).rjust(decimals + 1, "0")
        whole, fraction = (digits[:-decimals], "." + digits[-decimals:]) if decimals else (digits, "")
        return f"{sign}{int(whole):,}{fraction} {self.currency.upper()}"

    def allocate(self, weights: Sequence[int]) -> list["Money"]:
        """Split by weights so that the parts always add up to the whole.

        Largest remainder (Hamilton): each part gets the floor of its share, then the cents left over go one by one
        to the largest remainders; among equal remainders the earlier part gets the odd cent.

        Raises:
            ValueError: no weight, a negative weight, or weights that sum to zero.
        """
        total = sum(weights)
        if not weights or min(weights) < 0 or total <= 0:
            raise ValueError("weights must be non-negative integers, at least one of them positive")
        sign, whole = (-1, -self.minor) if self.minor < 0 else (1, self.minor)
        shares = [whole * weight // total for weight in weights]
        remainders = [whole * weight % total for weight in weights]
        by_remainder = sorted(range(len(weights)), key=lambda part: -remainders[part])
        for part in by_remainder[: whole - sum(shares)]:
            shares[part] += 1
        return [Money(sign * share, self.currency) for share in shares]

    def _same_currency(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise CurrencyMismatchError(f"{self.currency} and {other.currency} are different currencies")
