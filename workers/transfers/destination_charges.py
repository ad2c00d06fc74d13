"""Destination charges: what is asked of Stripe for them, and what their answers do to the book. In the caller's
transaction, with the payment's row locked.

    charge   the whole of it goes to the venue's account; the platform's fee and the royalties of others come back
    refund   Stripe takes both back in proportion, in the same step
    the rest royalties of others are transfers of their own, and a lost dispute reverses the transfer as any other

Whatever differs from what the shares say (royalties that were changed meanwhile, a refund that was made at Stripe
without its transfer) is a gap of the venue's share, which workers/shares/share.py closes.
"""

from loguru import logger

from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.payments.payments import Payment
from db.refunds import booking as refund_booking
from db.refunds.refunds import Refund
from db.session import Database, Tx
from db.shares import booking as share_booking
from db.shares import sale_terms, shares
from db.shares.shares import Share
from db.transfers import destination_charges
from db.transfers.destination_charges import DestinationCharge as Booked
from db.transfers.destination_charges import DestinationTransfer
from messages.fees import platform_fee
from messages.money import Money
from messages.shares import AccountLookupRequested
from messages.verdicts import GiveUp, TryLater
from outbox.append import append
from stripe_client.destination_charges import asked_of_intent, asked_of_refund
from stripe_client.outcomes import Charged, FeeAnswer, RefundAnswer, ReversalAnswer, TransferAnswer
from stripe_client.requests import Json
from workers.ledger.conversion_and_fee import conversion, stripe_fee
from workers.rules import sale_split
from workers.rules.destination_charges import give_way
from workers.rules.refund_allocation import RefundAllocation
from workers.shares.distribution import cut

# Stripe refused a charge since the venue's account may not receive: no other card would help.
NOT_RECEIVING = frozenset({"insufficient_capabilities_for_transfer", "transfers_not_allowed"})
# The buyer has not paid yet and can still cancel, so nothing is lost by looking again every few minutes.
LOOK_AGAIN_SECONDS = 300.0


def wish(tx: Tx, payment: Payment) -> Json | None:
    """What the intent is to say about its destination; None when the sale is settled by transfers.

    So is every resale, whose seller is not the venue, and every part of a group, whose money waits for the whole group.

    Raises:
        TryLater: the venue's account cannot receive money. Charging into our own balance instead would be a silent
            fallback, and failing would cost the venue a sale that is right in minutes; so it waits, with the reason.
        GiveUp: the royalties that are set promise more than there is.
    """
    if payment.sale != "primary" or payment.group_id is not None or payment.settlement_mode != "destination":
        return None
    receiver = destination_charges.receiver(tx, payment.venue_id)
    if receiver.account_id is None or receiver.transfers in {"inactive", "pending"}:
        why = "has no connected account" if receiver.account_id is None else f"may not receive: {receiver.transfers}"
        raise TryLater(
            f"venue {payment.venue_id} takes destination charges and {why}; set its account, or settlement_mode "
            "to separate",
            seconds=LOOK_AGAIN_SECONDS,
        )
    return asked_of_intent(receiver.account_id, part_of_others(tx, payment, payment.amount))


def have_account_looked_up(db: Database, payment: Payment) -> None:
    """Its own transaction: an account is the platform's. Lost with its process, the next refusal does it."""
    with db.transaction(payment.tenant_id) as tx:
        account_id = destination_charges.receiver(tx, payment.venue_id).account_id
    if account_id is not None:
        with db.system_transaction() as tx:
            append(tx, AccountLookupRequested(account_id=account_id))


def part_of_others(tx: Tx, payment: Payment, sold: Money) -> Money:
    """The application fee: what of a sale is not the venue's, the platform's fee and the royalties together."""
    terms = sale_terms.terms_of(tx, payment.payment_id)
    return sold - cut(payment, terms, sold, platform_fee(sold, payment.plan))[-1].amount


def book_charge(tx: Tx, payment: Payment, outcome: Charged, *, by: str) -> list[Journal]:
    """Write the transfer and the fee that the charge made; returns their journals. Twice is once.

    Raises:
        GiveUp: Stripe contradicts the book; a person must look.
    """
    made = outcome.destination
    if made is None or made.transfer is None:
        return []
    venue = _venue_share(tx, payment)
    journals = _book_transfer(tx, payment, venue, outcome, made.transfer, by)
    return journals + (_book_fee(tx, payment, venue, made.fee) if made.fee else [])


def _venue_share(tx: Tx, payment: Payment) -> Share:
    return shares.of_payment(tx, payment.payment_id, locked=True)[-1]


def _book_transfer(
    tx: Tx, payment: Payment, venue: Share, outcome: Charged, transfer: TransferAnswer, by: str
) -> list[Journal]:
    if transfer.balance is None or transfer.amount != outcome.amount:
        raise GiveUp(
            f"Stripe sent {transfer.amount} on by {transfer.stripe_transfer_id} of a destination charge of "
            f"{outcome.amount}: look at both"
        )
    made = DestinationTransfer(
        payment_id=payment.payment_id,
        share_id=venue.share_id,
        recipient_id=venue.recipient_id,
        account_id=transfer.account_id,
        charge_id=outcome.charge_id,
        transfer_group=str(payment.order_id),
        stripe_transfer_id=transfer.stripe_transfer_id,
        balance_transaction_id=transfer.balance.balance_transaction_id,
        amount=transfer.amount,
    )
    if not destination_charges.record_transfer(tx, made, by=by):
        return []
    logger.info("transferred {} with the charge", transfer.amount, account_id=transfer.account_id)
    entries = share_booking.transfer_entries(venue.owner, transfer.amount)
    beside = [*conversion(transfer.balance, -transfer.amount), *stripe_fee(transfer.balance)]
    return [Journal("transfer", transfer.stripe_transfer_id, entries), *beside]


def _book_fee(tx: Tx, payment: Payment, venue: Share, fee: FeeAnswer) -> list[Journal]:
    if fee.balance is None or fee.amount.currency != payment.currency:
        raise GiveUp(f"Stripe has {fee.fee_id} over {fee.amount}, which is not the payment's: look at both")
    new = destination_charges.record_fee(
        tx,
        payment.payment_id,
        venue.share_id,
        fee_id=fee.fee_id,
        amount=fee.amount,
        balance_transaction_id=fee.balance.balance_transaction_id,
    )
    entries = share_booking.application_fee_entries(venue.owner, fee.amount)
    return [Journal("application_fee", fee.fee_id, entries), *conversion(fee.balance, fee.amount)] if new else []


def taken_back_with(tx: Tx, refund: Refund, currency: str) -> Json | None:
    """What a refund is to say about the destination of its charge; None when there is none, or it keeps out of it.

    A refund that only pays again what a failed one gave back took its part of the venue the first time.
    """
    booked = destination_charges.of_payment(tx, refund.payment_id)
    owed = refund_booking.returned(tx, refund.payment_id, currency).open_obligation
    if booked is None or refund.amount.minor <= owed.minor:
        return None
    return asked_of_refund(has_fee=booked.fee_id is not None)


def book_refund(tx: Tx, payment: Payment, answer: RefundAnswer, *, by: str) -> None:
    """Write what a refund took back of the transfer and of the fee by itself. Twice is once."""
    if answer.reversal is None and not answer.fee_refunds:
        return
    booked = destination_charges.of_payment(tx, payment.payment_id)
    if booked is None:
        raise GiveUp(f"{answer.stripe_refund_id} took back a transfer that the book does not know: look up the payment")
    journals = _book_reversal(tx, booked, answer.reversal, by) if answer.reversal else []
    for fee_refund_answer in answer.fee_refunds if booked.fee_id else ():
        if destination_charges.record_fee_refund(
            tx,
            booked.fee_id or "",
            fee_refund_id=fee_refund_answer.fee_refund_id,
            amount=fee_refund_answer.amount,
            balance_transaction_id=fee_refund_answer.balance_transaction_id,
        ):
            entries = ledger.mirror(share_booking.application_fee_entries(booked.owner, fee_refund_answer.amount))
            journals.append(Journal("application_fee_refund", fee_refund_answer.fee_refund_id, entries))
    if journals:
        ledger.post_together(tx, payment.payment_id, journals)


def _book_reversal(tx: Tx, booked: Booked, reversal: ReversalAnswer, by: str) -> list[Journal]:
    if reversal.balance is None:
        raise GiveUp(f"Stripe shows no balance transaction of {reversal.stripe_reversal_id}; look at it at Stripe")
    if not destination_charges.record_reversal(
        tx,
        booked,
        stripe_reversal_id=reversal.stripe_reversal_id,
        amount=reversal.amount,
        balance_transaction_id=reversal.balance.balance_transaction_id,
        by=by,
    ):
        return []
    entries = ledger.mirror(share_booking.transfer_entries(booked.owner, reversal.amount))
    beside = [*conversion(reversal.balance, reversal.amount), *stripe_fee(reversal.balance)]
    return [Journal("transfer_reversal", reversal.stripe_reversal_id, entries), *beside]


def follow_stripe(tx: Tx, payment: Payment, parts: RefundAllocation) -> tuple[RefundAllocation, Money | None]:
    """The parts of a refund with the venue's as Stripe took it, and that part; unchanged when they differ by more."""
    everyone = shares.of_payment(tx, payment.payment_id, locked=True)
    if not everyone or everyone[-1].mode != "destination" or not parts.venue.minor:
        return parts, None
    amount = Money(min(parts.venue.minor, sum(share.left_minor for share in everyone)), payment.currency)
    by_rule = sale_split.taken_back(amount, [share.left_minor for share in everyone])[-1]
    before = refund_booking.returned(tx, payment.payment_id, payment.currency)
    fee_left = Money(payment.platform_fee_minor or 0, payment.currency) - before.fee
    at_stripe = everyone[-1].gap  # what has come back of the venue, and no refund has taken of its share yet
    followed = give_way(parts, by_rule=by_rule, at_stripe=at_stripe, fee_left=fee_left)
    return (followed, at_stripe) if followed else (parts, None)
