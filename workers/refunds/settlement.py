"""What an answer of Stripe about a refund does to the book, whoever brought it: the call, a webhook, or a lookup.

Runs inside the caller's transaction with the payment's row locked. The move, the journals of what Stripe's balance
shows, and the message that follows are written together; a fact that is known already changes nothing. A success is not
the end: the buyer's bank may send the money back, and then the obligation to the buyer stands again.
"""

from loguru import logger
from psycopg import errors

from db import stripe_calls
from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.minting import mints
from db.payments.payments import Payment
from db.refunds import booking as refund_booking
from db.refunds import refunds
from db.refunds.refunds import NewRefund, Refund
from db.refunds.states import DEAD_REFUNDS, RefundState
from db.session import Tx
from messages.ids import RefundId
from messages.money import Money
from messages.refunds import RefundFailed, RefundSucceeded
from messages.verdicts import GiveUp, TryLater
from outbox.append import append
from outbox.requests.group_moves import wake_group
from stripe_client.outcomes import BalanceTransaction, RefundAnswer, Refused
from stripe_client.refunds import CREATE
from workers.ledger.conversion_and_fee import conversion, stripe_fee
from workers.refunds.allocation import shares_of
from workers.shares.distribution import take_back, wake
from workers.transfers.destination_charges import book_refund as book_at_destination
from workers.transfers.destination_charges import follow_stripe

# A request of ours that holds the amount is refused by Stripe within its next try.
ROOM_SECONDS = 60


class NoRoomYet(TryLater):
    """What was refunded without us waits for a request of ours, which holds its amount, to be refused."""


def settle_refund(tx: Tx, payment: Payment, answer: RefundAnswer, *, by: str) -> Refund:
    """Bring the refund to where Stripe says it is; one that was made without us is written down first.

    Raises:
        GiveUp: Stripe contradicts the book (another payment, amount or currency); a person must look.
        NoRoomYet: a request of ours holds what was refunded without us; it must be refused first.
    """
    known = _ours(tx, answer)
    refund = known or _outside(tx, payment, answer, by)
    if refund.payment_id != payment.payment_id or answer.amount != refund.amount:
        raise GiveUp(
            f"Stripe has {answer.stripe_refund_id} over {answer.amount}, the book {refund.amount}: look at both"
        )
    stripe_calls.settle_by_subject(
        tx, operation=CREATE, subject_id=refund.refund_id, answer=answer.status, object_id=answer.stripe_refund_id
    )
    state = RefundState(answer.status)
    moved = refunds.move(tx, refund, state, by=by, reason=answer.failure_reason, stripe_id=answer.stripe_refund_id)
    _book(tx, payment, refund, answer, by)
    if moved and state in DEAD_REFUNDS:
        wake(tx, payment.payment_id)
    if moved or known is None:
        if state is RefundState.SUCCEEDED:
            mints.take_back(tx, payment.payment_id, by=by)
        _tell(tx, refund, state, answer.failure_reason or state.value)
        wake_group(tx, payment)
    return refund


def refuse(tx: Tx, refund: Refund, refusal: Refused, *, by: str) -> None:
    """Stripe will not give this back; the reservation is free again, and a person sees why."""
    if refunds.move(tx, refund, RefundState.REFUSED, by=by, reason=refusal.code):
        wake(tx, refund.payment_id)
        append(tx, _failed(refund, refusal.code))
        logger.error("Stripe refused the refund of {}: {}", refund.amount, refusal.sentence)


def _ours(tx: Tx, answer: RefundAnswer) -> Refund | None:
    refund = refunds.get(tx, RefundId(answer.refund_id)) if answer.refund_id else None
    return refund or refunds.by_stripe_id(tx, answer.stripe_refund_id)


def _outside(tx: Tx, payment: Payment, answer: RefundAnswer, by: str) -> Refund:
    """Made in the dashboard, or by Stripe itself."""
    new = NewRefund(
        payment.payment_id,
        answer.amount,
        ticket_ids=(),
        reason="outside",
        note="made at Stripe without the fleet",
        source="outside",
        request_key=f"stripe:{answer.stripe_refund_id}",
        by=by,
    )
    try:
        with tx.transaction():
            refund_id = refunds.record_outside(
                tx, new, state=RefundState(answer.status), stripe_refund_id=answer.stripe_refund_id
            )
    except errors.CheckViolation:
        said = f"{answer.stripe_refund_id} was made without us, and a request of ours holds its amount"
        raise NoRoomYet(said, seconds=ROOM_SECONDS) from None
    logger.warning(
        "recorded a refund of {} that was created outside the fleet",
        answer.amount,
        stripe_refund_id=answer.stripe_refund_id,
    )
    refund = refunds.get(tx, refund_id)
    assert refund is not None, "it was written a moment ago in this transaction"
    return refund


def _book(tx: Tx, payment: Payment, refund: Refund, answer: RefundAnswer, by: str) -> None:
    """Post what Stripe's balance shows: the refund once, and once that it came back."""
    book_at_destination(tx, payment, answer, by=by)
    if answer.balance is not None and refund.balance_transaction_id is None:
        parts, of_seller = follow_stripe(tx, payment, shares_of(tx, payment, refund.amount))
        if refund_booking.mark_booked(
            tx,
            refund,
            balance_transaction_id=answer.balance.balance_transaction_id,
            obligation_minor=parts.obligation.minor,
            platform_fee_minor=parts.platform.minor,
        ):
            entries = ledger.refund_entries(
                obligation=parts.obligation, platform=parts.platform, venue=parts.venue, venue_id=payment.venue_id
            )
            journal = Journal("refund", answer.stripe_refund_id, entries)
            ledger.post_together(tx, payment.payment_id, [journal, *_of_balance(answer.balance, -refund.amount)])
            take_back(
                tx,
                payment,
                parts.venue,
                fee_borne=parts.fee_borne,
                source_id=answer.stripe_refund_id,
                of_seller=of_seller,
            )
    if answer.returned is not None and refund_booking.mark_failure_booked(
        tx, refund, balance_transaction_id=answer.returned.balance_transaction_id
    ):
        journal = Journal("refund_failure", answer.stripe_refund_id, ledger.refund_failure_entries(refund.amount))
        ledger.post_together(tx, payment.payment_id, [journal, *_of_balance(answer.returned, refund.amount)])


def _of_balance(balance: BalanceTransaction, moved: Money) -> list[Journal]:
    """The conversion, when the balance is kept in another currency, and a fee, should Stripe ever take one."""
    return [*conversion(balance, moved), *stripe_fee(balance)]


def _tell(tx: Tx, refund: Refund, state: RefundState, reason: str) -> None:
    if state is RefundState.SUCCEEDED:
        append(tx, RefundSucceeded.model_validate(_facts(refund) | {"reason": refund.reason}))
        logger.info("refunded {}", refund.amount)
    elif state in DEAD_REFUNDS:
        append(tx, _failed(refund, reason))
        logger.error("refund of {} failed, still owed to the buyer: {}", refund.amount, reason)


def _failed(refund: Refund, reason: str) -> RefundFailed:
    return RefundFailed.model_validate(_facts(refund) | {"reason": reason})


def _facts(refund: Refund) -> dict[str, object]:
    return {
        "tenant_id": refund.tenant_id,
        "payment_id": refund.payment_id,
        "order_id": refund.order_id,
        "refund_id": refund.refund_id,
        "amount": refund.amount,
        "ticket_ids": tuple(refund.ticket_ids),
    }
