"""May a share be paid now? If not, what it waits for, in a word that people and the database share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PayabilityFacts:
    """How a recipient and the payment stand.

    settled_currency is that of Stripe's balance, once it has booked the charge; source_transaction must be in it.
    """

    account_id: str | None
    transfers: str
    settlement: str
    currency: str
    settled_currency: str | None
    open_dispute: bool
    open_refund: bool


def waits_for(here: PayabilityFacts) -> str | None:
    """None: nothing keeps it from being paid. An account of which Stripe has said nothing yet is tried."""
    answers = (
        (here.account_id is None, "account"),
        (here.transfers in {"inactive", "pending"}, "capability"),
        (here.open_dispute, "dispute"),
        (here.open_refund, "refund"),
        (here.settled_currency is None, "booking"),
        (here.settled_currency not in {None, here.currency}, "currency"),
        (here.settlement == "weekly", "statement"),
    )
    return next((word for stands_in_the_way, word in answers if stands_in_the_way), None)
