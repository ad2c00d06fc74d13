"""Request a refund, for every caller: order events, the API, operators and workers.

Phases: lock the payment, decide between refunding and cancelling, write the refund and append the message that carries
it out, all in the caller's transaction. Asking twice with the same request key is one refund; the amount is
reserved under the charge's lock, so that parallel requests can never pass the captured amount (M3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loguru import logger

from db.disputes import disputes
from db.payments import orders
from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.refunds import refunds
from db.refunds.refunds import MoreThanCapturedError, NewRefund, Refund, TicketRefundedError
from db.session import Tx
from messages.ids import PaymentId, RefundId, TicketId
from messages.money import CurrencyMismatchError, Money
from messages.refunds import RefundReason, RefundRequested
from outbox.append import append
from outbox.requests.cancellations import request_cancellation
from outbox.requests.payments import locked_payment
from outbox.requests.refusals import RefusedError


@dataclass(frozen=True, slots=True)
class RefundAnswer:
    """What became of a request: a refund (new or the one this key made before), or a payment that is cancelled.

    Neither means that there is nothing to refund: no money was taken, and none can be any more.
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
        RefusedError: unknown payment, nothing or too little left, a ticket that is not in the order or was given
            back, another request under the same key, a part of a payment that is not captured, or a chargeback that is
            open or lost: the bank has the money already.
    """
    payment = locked_payment(tx, payment_id)
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
        raise RefusedError(f"{wanted} is more than the {money.left} left", code="amount_exceeds_captured") from None
    except TicketRefundedError as error:
        raise RefusedError(str(error), code="ticket_already_refunded") from None
    return RefundAnswer(_queue(tx, payment, refund_id), new=True)


def give_everything_back(
    tx: Tx, *, payment_id: PaymentId, reason: RefundReason, note: str = "", source: str, request_key: str, by: str
) -> RefundAnswer:
    """The order is off: what is left of its money is refunded; what was not taken yet is never taken.

    Raises:
        RefusedError: the payment is unknown.
    """
    payment = locked_payment(tx, payment_id)
    money = refunds.captured(tx, payment_id)
    if money is not None and not money.left.minor:
        return RefundAnswer(refunds.by_request_key(tx, request_key))
    return request_refund(
        tx, payment_id=payment.payment_id, reason=reason, note=note, source=source, request_key=request_key, by=by
    )


def _refuse_beside_a_dispute(tx: Tx, payment_id: PaymentId) -> None:
    dispute_id = disputes.forbids_refund(tx, payment_id)
    if dispute_id is not None:
        said = f"the buyer's bank has taken the money back by dispute {dispute_id}; refunding it pays twice"
        raise RefusedError(said, code="charge_disputed")


def _same_request(
    refund: Refund, payment_id: PaymentId, amount: Money | None, ticket_ids: Sequence[TicketId]
) -> RefundAnswer:
    other = refund.payment_id != payment_id or (amount is not None and amount != refund.amount)
    if other or sorted(ticket_ids) != sorted(refund.ticket_ids):
        raise RefusedError("this request was made before with other contents", code="request_key_reused")
    return RefundAnswer(refund)


def _cancel_instead(
    tx: Tx, payment: Payment, amount: Money | None, ticket_ids: Sequence[TicketId], reason: str, by: str
) -> RefundAnswer:
    if payment.state is PaymentState.CANCELED:
        return RefundAnswer()
    if ticket_ids or amount not in {None, payment.amount}:
        said = f"the payment is {payment.state.value}: only all of it can be given up before it is captured"
        raise RefusedError(said, code="not_captured")
    return RefundAnswer(canceling=request_cancellation(tx, payment, reason=reason, by=by))


def _amount(tx: Tx, payment: Payment, left: Money, amount: Money | None, ticket_ids: Sequence[TicketId]) -> Money:
    if ticket_ids:
        prices = orders.ticket_prices(tx, payment.order_id)
        if strangers := [str(ticket) for ticket in ticket_ids if ticket not in prices]:
            raise RefusedError(f"not in this order: {', '.join(strangers)}", code="ticket_unknown")
        amount = Money(sum(prices[ticket] for ticket in ticket_ids), payment.currency)
        if not amount.minor:
            raise RefusedError("these tickets cost nothing", code="ticket_was_free")
    wanted = amount or left
    if wanted.currency != payment.currency:
        raise RefusedError(str(CurrencyMismatchError(f"the payment is in {payment.currency}")), code="wrong_currency")
    if not left.minor:
        raise RefusedError("everything is refunded already, or a refund is in progress", code="already_refunded")
    return wanted


def _queue(tx: Tx, payment: Payment, refund_id: RefundId) -> Refund:
    append(tx, RefundRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id, refund_id=refund_id))
    refund = refunds.get(tx, refund_id)
    assert refund is not None, "it was written a moment ago in this transaction"
    logger.info("refund of {} requested: {}", refund.amount, refund.reason)
    return refund
