"""What a case is opened for: one thing that costs money, or leaves somebody without it, if nobody looks.

Each domain finds its own (`<domain>/overdue.py`); workers/reconciliation/cases.py opens the cases and closes them.
"""

from dataclasses import dataclass

from messages.ids import PaymentId, TenantId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at; `subject` names it for as long as it lasts. Of no one payment: `payment_id` None."""

    subject: str
    tenant_id: TenantId
    payment_id: PaymentId | None
    amount_minor: int
    currency: str
    details: str

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)
