"""A venue's fee plan, and the platform fee of a sale under that plan. Charges and quotes both compute the fee here."""

from dataclasses import dataclass

from messages.money import CurrencyMismatchError, Money

BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class FeePlan:
    """The platform's fee: basis points of the amount plus a fixed part, within bounds, in minor units of `currency`.

    maximum_minor is None if only the amount of the sale caps the fee.
    """

    basis_points: int
    fixed_minor: int
    currency: str
    minimum_minor: int = 0
    maximum_minor: int | None = None


def platform_fee(amount: Money, plan: FeePlan) -> Money:
    """The fee on `amount`, which never exceeds it; half a minor unit rounds up, in the platform's favour.

    Raises:
        CurrencyMismatchError: the plan's fixed part is in another currency.
    """
    if plan.currency != amount.currency:
        raise CurrencyMismatchError(f"a plan in {plan.currency} cannot price a sale in {amount.currency}")
    percent = (amount.minor * plan.basis_points + BASIS_POINTS // 2) // BASIS_POINTS
    wanted = max(percent + plan.fixed_minor, plan.minimum_minor)
    most = amount.minor if plan.maximum_minor is None else min(amount.minor, plan.maximum_minor)
    return Money(min(most, wanted), amount.currency)
