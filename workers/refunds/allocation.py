"""Who bears a refund, or a lost dispute: workers/rules/refund_allocation.py decides, from what is booked today."""

from db.payments.payments import Payment
from db.refunds import booking as refund_booking
from db.session import Tx
from messages.money import Money
from workers.rules.refund_allocation import RefundableAmounts, RefundAllocation, allocate_refund


def who_bears(tx: Tx, payment: Payment, amount: Money) -> RefundAllocation:
    """The parts of a refund, or of a loss by a dispute; the payment is locked."""
    before = refund_booking.returned(tx, payment.payment_id)
    amounts = RefundableAmounts(
        captured=before.captured,
        fee=Money(payment.platform_fee_minor or 0, payment.currency),
        open_obligation=before.open_obligation,
        debited=before.debited,
        fee_returned=before.fee,
        fee_borne=before.fee_borne,
    )
    return allocate_refund(amount, amounts, fee_comes_back=before.fee_comes_back)
