"""The platform's fee on a sale: percent plus a fixed part, in whole minor units, never more than the sale itself."""

from messages.fees import FeePlan
from messages.money import CurrencyMismatchError, Money

BASIS_POINTS = 10_000


def platform_fee(amount: Money, plan: FeePlan) -> Money:
    """The fee on `amount`; half a minor unit rounds up, in the platform's favour, and the sale is the cap.

    Raises:
        CurrencyMismatchError: the plan's fixed part is in another currency.
    """
    if plan.currency != amount.currency:
        raise CurrencyMismatchError(f"a plan in {plan.currency} cannot price a sale in {amount.currency}")
    percent = (amount.minor * plan.basis_points + BASIS_POINTS // 2) // BASIS_POINTS
    return Money(min(amount.minor, percent + plan.fixed_minor), amount.currency)
