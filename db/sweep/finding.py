"""What a case is opened for: one thing that costs money, or leaves somebody without it, if nobody looks.

Each domain finds its own (`<domain>/overdue.py`); workers/reconciliation/cases.py opens the cases, and closes those
that are no longer found.
"""

from dataclasses import dataclass

from messages.ids import PaymentId, TenantId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at.

    subject      names it for as long as it lasts: the same finding must have the same subject in every sweep
    payment_id   None when it concerns no single payment
    details      a sentence for the person who gets the case
    """

    subject: str
    tenant_id: TenantId
    payment_id: PaymentId | None
    amount_minor: int
    currency: str
    details: str

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)
