"""The one way to ask for money back, whoever asks: order events, the API, operators, or a worker.

Phases: look at the locked payment, decide between refunding and cancelling, write the wish and append the message that
carries it out, all in the caller's transaction. Asking twice with the same request key is one refund; the amount is
reserved under the charge's lock, so that parallel requests can never pass the captured amount (M3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loguru import logger

from db.disputes import disputes
from db.payments import orders, payments
from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.refunds import refunds
from db.refunds.refunds import MoreThanCapturedError, NewRefund, Refund, TicketRefundedError
from db.session import Tx
from messages.ids import PaymentId, RefundId, TicketId
from messages.money import CurrencyMismatchError, Money
from messages.refunds import CancelRequested, CaptureRequested, RefundReason, RefundRequested
from outbox.append import append


class NotRefundableError(Exception):
    """The request cannot be granted, and nothing was written. `code` is for machines, the sentence for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class RefundAnswer:
    """What became of a request: a refund (new or the one this key made before), or a payment that is cancelled.

    Neither means that there is nothing to give back: no money was taken, and none can be any more.
    """

    refund: Refund | None = None
    new: bool = False
    canceling: bool = False


def request_refund(
    tx: Tx,
    *,
    payment_id: PaymentId,
    amount: Money | None = None,
    ticket_ids: Sequence[TicketId] = (),
    reason: RefundReason,
    note: str = "",
    source: str,
    request_key: str,
    by: str,
) -> RefundAnswer:
    """Ask for `amount`, for the face price of tickets, or (neither given) for whatever is left.

    A payment whose money was not taken yet is cancelled instead, when all of it is asked for.

    Raises:
        NotRefundableError: unknown payment, nothing or too little left, a ticket that is not in the order or was given
            back, another request under the same key, a part of a payment that is not captured, or a chargeback that is
            open or lost: the bank has the money already.
    """
    payment = _locked(tx, payment_id)
    refund = refunds.by_request_key(tx, request_key)
    if refund is not None:
        return _same_request(refund, payment_id, amount, ticket_ids)
    if payment.state is not PaymentState.SUCCEEDED:
        return _cancel_instead(tx, payment, amount, ticket_ids, reason, by)
    money = refunds.captured(tx, payment_id)
    assert money is not None, "a succeeded payment has its charge, written in the same transaction"
    wanted = _amount(tx, payment, money.left, amount, ticket_ids)
    _refuse_beside_a_dispute(tx, payment_id)
    new = NewRefund(payment_id, wanted, ticket_ids, reason, note, source, request_key, by)
    try:
        refund_id = refunds.request(tx, new)
    except MoreThanCapturedError:
        raise NotRefundableError("amount_exceeds_captured", f"{wanted} is more than the {money.left} left") from None
    except TicketRefundedError as error:
        raise NotRefundableError("ticket_already_refunded", str(error)) from None
    return RefundAnswer(_queue(tx, payment, refund_id), new=True)


def give_everything_back(
    tx: Tx, *, payment_id: PaymentId, reason: RefundReason, note: str = "", source: str, request_key: str, by: str
) -> RefundAnswer:
    """The order is off: what is left of its money is refunded; what was not taken yet is never taken.

    Raises:
        NotRefundableError: the payment is unknown.
    """
    payment = _locked(tx, payment_id)
    money = refunds.captured(tx, payment_id)
    if money is not None and not money.left.minor:
        return RefundAnswer(refunds.by_request_key(tx, request_key))
    return request_refund(
        tx, payment_id=payment.payment_id, reason=reason, note=note, source=source, request_key=request_key, by=by
    )


def request_cancellation(tx: Tx, payment: Payment, *, reason: str, by: str) -> bool:
    """Keep the wish on the locked payment and have it carried out; False when nothing is left to cancel."""
    if payment.state in {PaymentState.SUCCEEDED, PaymentState.CANCELED}:
        return False
    payments.wish_to_cancel(tx, payment.payment_id, reason=reason, by=by)
    append(tx, CancelRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id))
    logger.info("cancellation requested: {}", reason)
    return True


def request_capture(tx: Tx, *, payment_id: PaymentId, amount: Money | None = None) -> Payment:
    """Have the held amount, or a part of it, captured; the rest is released.

    Raises:
        NotRefundableError: unknown payment, not authorised, to be cancelled, another amount was asked for before, or a
            part of a group's share.
    """
    payment = _locked(tx, payment_id)
    wanted = amount or payment.amount
    if wanted.currency != payment.currency or not 0 < wanted.minor <= payment.amount_minor:
        raise NotRefundableError("amount_not_authorized", f"{wanted} is not within the {payment.amount} held")
    if payment.group_id is not None and wanted != payment.amount:
        raise NotRefundableError(
            "of_a_group", "the payment is a share of a group, which is captured whole or not at all"
        )
    if payment.capture_requested_minor not in {None, wanted.minor}:
        raise NotRefundableError("capture_already_requested", "a capture of another amount is under way")
    if payment.state is PaymentState.SUCCEEDED and payment.capture == "manual":
        return payment
    if payment.state is not PaymentState.AUTHORIZED:
        raise NotRefundableError("not_authorized", f"the payment is {payment.state.value}; nothing is held")
    if payment.cancel_reason is not None:
        raise NotRefundableError("being_canceled", "the payment is being cancelled")
    payments.wish_to_capture(tx, payment_id, amount_minor=wanted.minor)
    append(tx, CaptureRequested(tenant_id=payment.tenant_id, payment_id=payment_id))
    return payment


def _locked(tx: Tx, payment_id: PaymentId) -> Payment:
    payment = payments.lock(tx, payment_id)
    if payment is None:
        raise NotRefundableError("payment_unknown", f"there is no payment {payment_id}")
    return payment


def _refuse_beside_a_dispute(tx: Tx, payment_id: PaymentId) -> None:
    dispute_id = disputes.forbids_refund(tx, payment_id)
    if dispute_id is not None:
        said = f"the buyer's bank has taken the money back by dispute {dispute_id}; giving it back again pays twice"
        raise NotRefundableError("charge_disputed", said)


def _same_request(
    refund: Refund, payment_id: PaymentId, amount: Money | None, ticket_ids: Sequence[TicketId]
) -> RefundAnswer:
    other = refund.payment_id != payment_id or (amount is not None and amount != refund.amount)
    if other or sorted(ticket_ids) != sorted(refund.ticket_ids):
        raise NotRefundableError("request_key_reused", "this request was made before with other contents")
    return RefundAnswer(refund)


def _cancel_instead(
    tx: Tx, payment: Payment, amount: Money | None, ticket_ids: Sequence[TicketId], reason: str, by: str
) -> RefundAnswer:
    if payment.state is PaymentState.CANCELED:
        return RefundAnswer()
    if ticket_ids or amount not in {None, payment.amount}:
        said = f"the payment is {payment.state.value}: only all of it can be given up before it is captured"
        raise NotRefundableError("not_captured", said)
    return RefundAnswer(canceling=request_cancellation(tx, payment, reason=reason, by=by))


def _amount(tx: Tx, payment: Payment, left: Money, amount: Money | None, ticket_ids: Sequence[TicketId]) -> Money:
    if ticket_ids:
        prices = orders.ticket_prices(tx, payment.order_id)
        if strangers := [str(ticket) for ticket in ticket_ids if ticket not in prices]:
            raise NotRefundableError("ticket_unknown", f"not in this order: {', '.join(strangers)}")
        amount = Money(sum(prices[ticket] for ticket in ticket_ids), payment.currency)
        if not amount.minor:
            raise NotRefundableError("ticket_was_free", "these tickets cost nothing")
    wanted = amount or left
    if wanted.currency != payment.currency:
        raise NotRefundableError("wrong_currency", str(CurrencyMismatchError(f"the payment is in {payment.currency}")))
    if not left.minor:
        raise NotRefundableError("already_refunded", "everything was given back already, or is on its way")
    return wanted


def _queue(tx: Tx, payment: Payment, refund_id: RefundId) -> Refund:
    append(tx, RefundRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id, refund_id=refund_id))
    refund = refunds.get(tx, refund_id)
    assert refund is not None, "it was written a moment ago in this transaction"
    logger.info("refund of {} requested: {}", refund.amount, refund.reason)
    return refund
