"""Who bears a refund, or a lost dispute: an open obligation, then the platform in proportion to its fee, and
the venue the rest.

Parts are cut from running totals, never refund by refund, so that however a sale is given back in pieces they add up to
the cent: once everything is back, exactly the whole fee is.
"""

from dataclasses import dataclass

from messages.money import Money


@dataclass(frozen=True, slots=True)
class RefundableAmounts:
    """What was taken for a sale, and what its refunds have taken back so far; all in the charge's currency."""

    captured: Money
    fee: Money
    open_obligation: Money
    debited: Money
    fee_returned: Money
    fee_borne: Money


@dataclass(frozen=True, slots=True)
class RefundAllocation:
    """The parts of one refund: obligation, platform and venue add up to it.

    `fee_borne` of the venue's part replaces the platform's fee, which the policy keeps: whoever sold gives it.
    """

    obligation: Money
    platform: Money
    venue: Money
    fee_borne: Money


def allocate_refund(refund: Money, books: RefundableAmounts, *, fee_comes_back: bool) -> RefundAllocation:
    """Cut a refund into its parts.

    An obligation was debited from venue and platform when the refund that failed was booked, so paying it touches
    neither again. Of the rest the platform gives its fee's share of everything debited until now, rounded down, less
    what it has given before: the odd cent stays with the platform until the last refund. Where the policy keeps the
    fee, whoever sold bears that part.
    """
    zero = Money(0, refund.currency)
    obligation = Money(min(refund.minor, max(0, books.open_obligation.minor)), refund.currency)
    rest = refund - obligation
    debited = books.debited + rest
    due = books.fee.minor * min(debited.minor, books.captured.minor) // books.captured.minor
    due -= books.fee_returned.minor + books.fee_borne.minor
    fee = Money(min(rest.minor, max(0, due)), refund.currency)
    if fee_comes_back:
        return RefundAllocation(obligation, fee, rest - fee, zero)
    return RefundAllocation(obligation, zero, rest, fee)
