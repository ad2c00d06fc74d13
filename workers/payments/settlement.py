"""What an answer of Stripe about a payment does, whoever brought it: the call itself, a webhook, or a lookup.

`settle`, `settle_answer` and `cancel_unsent` run inside the caller's transaction with the payment's row locked, so
whoever comes first wins and everyone after sees that nothing is left to do. Each move, its journals and the messages
that follow from it are written together.
"""

from typing import assert_never
from uuid import UUID

from loguru import logger

from db import stripe_calls
from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.payments import charges, payments
from db.payments.charges import Fee
from db.payments.payments import Payment, PaymentAttempt
from db.session import Tx
from messages.base import Fact, Message
from messages.fees import platform_fee
from messages.mints import MintRequested
from messages.money import Money
from messages.payments import PaymentAuthorized, PaymentFailed, PaymentRequiresAction, PaymentSucceeded
from messages.refunds import CancelRequested, PaymentSucceededLate
from messages.verdicts import GiveUp, TryAgain
from outbox.append import append
from outbox.requests.group_moves import wake_group
from outbox.requests.refunds import request_refund
from stripe_client.outcomes import (
    Authorized,
    Canceled,
    Charged,
    Declined,
    NeedsAction,
    Processing,
    Refused,
    Settled,
)
from stripe_client.payment_intents import CREATE
from workers.ledger.booking import Booking, book
from workers.ledger.conversion_and_fee import conversion_and_fee
from workers.shares.distribution import freeze, waiting_shares_due
from workers.transfers.destination_charges import NOT_RECEIVING, record_charge


def settle(tx: Tx, payment: Payment, outcome: Settled | Refused, *, by: str, call_id: UUID | None = None) -> None:
    """Bring the locked payment to where Stripe says it is; a fact that is known already changes nothing.

    Raises:
        GiveUp: Stripe contradicts the database (another intent or currency, a second charge); a person must look.
    """
    intent_id = None if isinstance(outcome, Refused) else outcome.intent_id
    if payment.payment_intent_id and intent_id and intent_id != payment.payment_intent_id:
        raise GiveUp(f"Stripe names intent {intent_id}, the database {payment.payment_intent_id}: two for one order")
    if call_id is None:  # the answer came by another road than the call's own
        stripe_calls.settle_by_subject(
            tx, operation=CREATE, subject_id=payment.payment_id, answer=type(outcome).__name__, object_id=intent_id
        )
    match outcome:
        case Charged():
            _charged(tx, payment, outcome, by, call_id)
        case Authorized():
            capture_before = outcome.capture_before
            if payments.mark_authorized(tx, payment, intent_id=outcome.intent_id, capture_before=capture_before, by=by):
                append(tx, PaymentAuthorized(**_facts(payment)), *_cancel_requested(payment))
                logger.info("authorized {}", payment.amount)
        case NeedsAction():
            if payments.mark_requires_action(tx, payment, intent_id=outcome.intent_id, by=by):
                needs_action = PaymentRequiresAction(**_facts(payment), payment_intent_id=outcome.intent_id)
                append(tx, needs_action, *_cancel_requested(payment))
                logger.info("awaiting 3-D Secure authentication")
        case Processing():
            if payments.mark_processing(tx, payment, intent_id=outcome.intent_id, by=by):
                logger.info("payment is processing at the bank")
        case Declined():
            _declined(tx, payment, outcome, by, call_id)
        case Refused():
            _refused(tx, payment, outcome, by, call_id)
        case Canceled():
            if payments.mark_canceled(tx, payment, intent_id=outcome.intent_id, reason=outcome.reason, by=by):
                append(tx, _failed(payment, outcome.reason, may_try_another_card=True))
                logger.info("canceled: {}", outcome.reason)
        case _:
            assert_never(outcome)
    wake_group(tx, payment)


def settle_answer(tx: Tx, asked_about: Payment, outcome: Settled, *, by: str) -> None:
    """Settle what Stripe answered about a payment as it was read before asking.

    Raises:
        TryAgain: the payment has moved since, so the answer may be the older of the two; ask again. A capture is never
            old: money that was taken stays taken.
        GiveUp: as `settle`.
    """
    current = payments.lock(tx, asked_about.payment_id)
    assert current is not None, "payments are never deleted, and this one was read a moment ago"
    if current.state_since != asked_about.state_since and not isinstance(outcome, Charged):
        raise TryAgain("the payment moved while Stripe was asked; ask again")
    settle(tx, current, outcome, by=by)


def _charged(tx: Tx, payment: Payment, outcome: Charged, by: str, call_id: UUID | None) -> None:
    """Book a charge once; a charge that is booked already gets only the fee that was missing.

    Raises:
        GiveUp: Stripe captured more than was ordered, or another currency; nothing is booked.
    """
    if outcome.amount.currency != payment.currency or outcome.amount.minor > payment.amount_minor:
        raise GiveUp(f"Stripe captured {outcome.amount} for an order of {payment.amount}; nothing was booked")
    fee = platform_fee(outcome.amount, payment.plan)
    kept = Fee(outcome.balance.balance_transaction_id, outcome.balance.fee) if outcome.balance else None
    if payments.mark_succeeded(
        tx,
        payment,
        intent_id=outcome.intent_id,
        platform_fee_minor=fee.minor,
        attempt=PaymentAttempt(call_id, "charged"),
        by=by,
    ):
        charges.record(
            tx,
            payment,
            charge_id=outcome.charge_id,
            intent_id=outcome.intent_id,
            amount_minor=outcome.amount.minor,
            fee=kept,
        )
        charged = Journal("charge", outcome.charge_id, ledger.charge_entries(outcome.amount, fee, payment.venue_id))
        book(
            tx,
            payment.payment_id,
            Booking([charged, *conversion_and_fee(outcome.balance, outcome.amount)]),
            freeze(tx, payment, outcome.amount, fee, destination=outcome.destination is not None, by=by),
            Booking(record_charge(tx, payment, outcome, by=by), _published(payment, outcome, fee)),
        )
        if payment.cancel_reason is None:
            logger.info("charged {}", outcome.amount)
        else:
            _refund_late_success(tx, payment, outcome)
    elif kept is not None and charges.record_fee(tx, outcome.charge_id, kept):  # Stripe shows its balance only now
        balance = Booking(conversion_and_fee(outcome.balance, outcome.amount))
        sent_on = Booking(record_charge(tx, payment, outcome, by=by))
        book(tx, payment.payment_id, balance, sent_on, waiting_shares_due(tx, payment.payment_id))


def _published(payment: Payment, outcome: Charged, fee: Money) -> list[Message | Fact]:
    """A charge that succeeded although it was to be cancelled is published as such: its money goes back."""
    facts = _facts(payment) | {"amount": outcome.amount}
    if payment.cancel_reason is not None:
        return [PaymentSucceededLate(**facts)]
    succeeded = PaymentSucceeded(**facts, platform_fee_minor=fee.minor)
    if not payment.mints:
        return [succeeded]
    return [succeeded, MintRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id)]


def _refund_late_success(tx: Tx, payment: Payment, outcome: Charged) -> None:
    """The buyer paid what was to be cancelled: request its refund, under a key of its own, so that it is
    requested once.
    """
    logger.warning("charged {} after cancellation ({}): refunding it", outcome.amount, payment.cancel_reason)
    request_refund(
        tx,
        payment_id=payment.payment_id,
        reason="late_success",
        note=f"cancelled before it succeeded: {payment.cancel_reason}",
        source="late_success",
        request_key=f"late_success:{payment.payment_id}",
        by="settlement",
    )


def cancel_unsent(tx: Tx, payment: Payment, *, by: str) -> None:
    """Cancel a locked payment that has no intent at Stripe."""
    reason = payment.cancel_reason or "canceled"
    if payments.mark_canceled(tx, payment, intent_id=None, reason=reason, by=by):
        append(tx, _failed(payment, reason, may_try_another_card=False))
        logger.info("canceled before any request to Stripe: {}", reason)
        wake_group(tx, payment)


def _cancel_requested(payment: Payment) -> list[CancelRequested]:
    """The cancellation was requested while the charge was under way: now there is something at Stripe to cancel."""
    if payment.cancel_reason is None:
        return []
    return [CancelRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id)]


def _declined(tx: Tx, payment: Payment, outcome: Declined, by: str, call_id: UUID | None) -> None:
    """Store the decline.

    Published is only `public_reason`: the issuer's own code is not for the buyer
    (docs.stripe.com/declines/codes).
    """
    reason = outcome.decline_code or outcome.code
    attempt = PaymentAttempt(call_id, "declined", reason)
    if payments.mark_failed(
        tx, payment, intent_id=outcome.intent_id, reason=f"declined: {reason}", attempt=attempt, by=by
    ):
        failed = _failed(payment, outcome.public_reason, may_try_another_card=outcome.may_try_another_card)
        append(tx, failed, *_cancel_requested(payment))
        logger.info("card declined: {}", reason)


def _refused(tx: Tx, payment: Payment, outcome: Refused, by: str, call_id: UUID | None) -> None:
    attempt = PaymentAttempt(call_id, "refused", outcome.code)
    if payments.mark_failed(tx, payment, intent_id=None, reason=f"refused: {outcome.code}", attempt=attempt, by=by):
        append(tx, _failed(payment, outcome.code, may_try_another_card=outcome.code not in NOT_RECEIVING))
        logger.info("Stripe rejected the charge: {}", outcome.sentence)


def _facts(payment: Payment) -> dict[str, object]:
    return {
        "tenant_id": payment.tenant_id,
        "payment_id": payment.payment_id,
        "order_id": payment.order_id,
        "amount": payment.amount,
    }


def _failed(payment: Payment, reason: str, *, may_try_another_card: bool) -> PaymentFailed:
    return PaymentFailed.model_validate(
        {**_facts(payment), "reason": reason, "may_try_another_card": may_try_another_card}
    )
