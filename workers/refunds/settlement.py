"""What an answer of Stripe about a refund does, whoever brought it: the call, a webhook, or a lookup.

`settle_refund` and `refuse_refund` run inside the caller's transaction with the payment's row locked. The move, the
journals of what Stripe's balance shows, and the messages that follow are written together; a fact that is known already
changes nothing. Who bears the refund is decided in workers/refunds/allocation.py. A success is not the end: the buyer's
bank may send the money back, and then the buyer is owed it again.
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
from db.shares import shares
from messages.ids import RefundId
from messages.refunds import RefundFailed, RefundSucceeded
from messages.verdicts import GiveUp, TryLater
from outbox.requests.group_moves import wake_group
from stripe_client.outcomes import RefundAnswer, Refused
from stripe_client.refunds import CREATE
from workers.ledger.booking import NOTHING, Booking, book
from workers.ledger.conversion_and_fee import conversion_and_fee
from workers.refunds.allocation import who_bears
from workers.shares.distribution import claw_back, waiting_shares_due
from workers.transfers.destination_charges import follow_stripe, record_refund

# A request of ours that holds the amount is refused by Stripe within its next try.
ROOM_SECONDS = 60


class NoRoomYet(TryLater):
    """What was refunded without us waits for a request of ours, which holds its amount, to be refused."""


def settle_refund(tx: Tx, payment: Payment, answer: RefundAnswer, *, by: str, call_is_settled: bool = False) -> None:
    """Bring the refund to where Stripe says it is; one that was made without us is written down first.

    Raises:
        GiveUp: Stripe contradicts the database (another payment, amount or currency); a person must look.
        NoRoomYet: a request of ours holds what was refunded without us; it must be refused first.
    """
    known = _ours(tx, answer)
    refund = known or _outside(tx, payment, answer, by)
    if refund.payment_id != payment.payment_id or answer.amount != refund.amount:
        raise GiveUp(
            f"Stripe has {answer.stripe_refund_id} over {answer.amount}, the database {refund.amount}: look at both"
        )
    if not call_is_settled:  # the answer came by another road than the call's own
        stripe_calls.settle_by_subject(
            tx, operation=CREATE, subject_id=refund.refund_id, answer=answer.status, object_id=answer.stripe_refund_id
        )
    state = RefundState(answer.status)
    moved = refunds.move(tx, refund, state, by=by, reason=answer.failure_reason, stripe_id=answer.stripe_refund_id)
    bookings = [_returned(tx, payment, refund, answer, by), _came_back(tx, refund, answer)]
    if moved and state in DEAD_REFUNDS:
        bookings.append(waiting_shares_due(tx, payment.payment_id))
    if moved or known is None:
        if state is RefundState.SUCCEEDED:
            mints.take_back(tx, payment.payment_id, by=by)
        bookings.append(_published(refund, state, answer.failure_reason or state.value))
    book(tx, payment.payment_id, *bookings)
    if moved or known is None:
        wake_group(tx, payment)


def refuse_refund(tx: Tx, refund: Refund, refusal: Refused, *, by: str) -> None:
    """Stripe will not make this refund; its amount can be refunded again, and an operator sees the reason."""
    if refunds.move(tx, refund, RefundState.REFUSED, by=by, reason=refusal.code):
        failed = Booking(messages=[_failed(refund, refusal.code)])
        book(tx, refund.payment_id, waiting_shares_due(tx, refund.payment_id), failed)
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


def _returned(tx: Tx, payment: Payment, refund: Refund, answer: RefundAnswer, by: str) -> Booking:
    """What has left Stripe's balance, once: at a destination charge's account, and of venue, platform and shares."""
    at_account = record_refund(tx, payment, answer, by=by)
    if answer.balance is None or refund.balance_transaction_id is not None:
        return Booking(at_account)
    sharing = shares.of_payment(tx, payment.payment_id, locked=True)
    parts, of_seller = follow_stripe(tx, payment, sharing, who_bears(tx, payment, answer.amount))
    if not refund_booking.mark_booked(
        tx,
        refund,
        balance_transaction_id=answer.balance.balance_transaction_id,
        obligation_minor=parts.obligation.minor,
        platform_fee_minor=parts.platform.minor,
    ):
        return Booking(at_account)
    entries = ledger.refund_entries(
        obligation=parts.obligation, platform=parts.platform, venue=parts.venue, venue_id=payment.venue_id
    )
    journal = Journal("refund", answer.stripe_refund_id, entries)
    booking = Booking([*at_account, journal, *conversion_and_fee(answer.balance, -answer.amount)])
    return booking + claw_back(tx, payment, sharing, parts, source_id=answer.stripe_refund_id, of_seller=of_seller)


def _came_back(tx: Tx, refund: Refund, answer: RefundAnswer) -> Booking:
    """What the buyer's bank has sent back, once."""
    if answer.returned is None or not refund_booking.mark_failure_booked(
        tx, refund, balance_transaction_id=answer.returned.balance_transaction_id
    ):
        return NOTHING
    journal = Journal("refund_failure", answer.stripe_refund_id, ledger.refund_failure_entries(answer.amount))
    return Booking([journal, *conversion_and_fee(answer.returned, answer.amount)])


def _published(refund: Refund, state: RefundState, reason: str) -> Booking:
    if state is RefundState.SUCCEEDED:
        logger.info("refunded {}", refund.amount)
        return Booking(messages=[RefundSucceeded.model_validate(_facts(refund) | {"reason": refund.reason})])
    if state in DEAD_REFUNDS:
        logger.error("refund of {} failed, still owed to the buyer: {}", refund.amount, reason)
        return Booking(messages=[_failed(refund, reason)])
    return NOTHING


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
