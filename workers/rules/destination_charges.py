"""Who gives the odd cent when Stripe takes a destination charge back in proportion.

Stripe rounds what it takes back of the transfer and of the application fee by itself, and so do we. What it took of the
venue is a fact, so the platform's part gives way: otherwise a cent would be sent after every refund.
"""

from messages.money import Money
from workers.rules.refund_allocation import RefundAllocation

# One for Stripe's rounding and one for ours; what differs by more is no rounding, and is settled by a transfer.
ODD_MINOR = 2


def give_way(parts: RefundAllocation, *, by_rule: Money, at_stripe: Money, fee_left: Money) -> RefundAllocation | None:
    """The parts of a refund when the venue gives `at_stripe` in place of `by_rule`; None when that is not possible.

    The platform gives no less than nothing, and no more than what is left of its fee.
    """
    odd = by_rule.minor - at_stripe.minor
    if abs(odd) > ODD_MINOR or at_stripe.minor < 0 or not 0 <= parts.platform.minor + odd <= fee_left.minor:
        return None
    difference = Money(odd, by_rule.currency)
    return RefundAllocation(parts.obligation, parts.platform + difference, parts.venue - difference, parts.fee_borne)
