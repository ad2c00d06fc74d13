"""Destination charges: what is asked of Stripe for them, and what their answers do. In the caller's transaction, with
the payment's row locked.

    charge   the whole of it goes to the venue's account; the platform's fee and the royalties of others come back
    refund   Stripe takes both back in proportion, in the same step
    the rest royalties of others are transfers of their own, and a lost dispute reverses the transfer as any other

Whatever differs from what the shares say (royalties that were changed meanwhile, a refund that was made at Stripe
without its transfer) is a gap of the venue's share, which workers/shares/share.py closes. `record_charge` and
`record_refund` write rows and return what the settlement is to book.
"""

from collections.abc import Sequence

from loguru import logger

from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.payments.payments import Payment
from db.refunds import booking as refund_booking
from db.refunds.refunds import Refund
from db.session import Tx
from db.shares import booking as share_booking
from db.shares import sale_terms, shares
from db.shares.shares import Share
from db.transfers import destination_charges
from db.transfers.destination_charges import DestinationCharge as Booked
from db.transfers.destination_charges import DestinationTransfer
from messages.fees import platform_fee
from messages.money import Money
from messages.verdicts import GiveUp, TryLater
from stripe_client.destination_charges import asked_of_intent, asked_of_refund
from stripe_client.outcomes import Charged, FeeAnswer, RefundAnswer, ReversalAnswer, TransferAnswer
from stripe_client.requests import Json
from workers.ledger.conversion_and_fee import conversion, conversion_and_fee
from workers.rules import sale_split
from workers.rules.destination_charges import give_way
from workers.rules.refund_allocation import RefundAllocation
from workers.shares.distribution import cut

# Stripe refused a charge since the venue's account may not receive: no other card would help.
NOT_RECEIVING = frozenset({"insufficient_capabilities_for_transfer", "transfers_not_allowed"})
# The buyer has not paid yet and can still cancel, so nothing is lost by looking again every few minutes.
LOOK_AGAIN_SECONDS = 300.0


def intent_parameters(tx: Tx, payment: Payment) -> Json | None:
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
    return asked_of_intent(receiver.account_id, application_fee(tx, payment, payment.amount))


def application_fee(tx: Tx, payment: Payment, sold: Money) -> Money:
    """What of a sale is not the venue's, the platform's fee and the royalties together."""
    terms = sale_terms.terms_of(tx, payment.payment_id)
    return sold - cut(payment, terms, sold, platform_fee(sold, payment.plan))[-1].amount


def record_charge(tx: Tx, payment: Payment, outcome: Charged, *, by: str) -> list[Journal]:
    """Write the transfer and the fee that the charge made; returns their journals, none when they are known.

    Raises:
        GiveUp: Stripe contradicts the database; a person must look.
    """
    made = outcome.destination
    if made is None or made.transfer is None:
        return []
    venue = _venue_share(tx, payment)
    journals = _record_transfer(tx, payment, venue, outcome, made.transfer, by)
    return journals + (_record_fee(tx, payment, venue, made.fee) if made.fee else [])


def _venue_share(tx: Tx, payment: Payment) -> Share:
    return shares.of_payment(tx, payment.payment_id, locked=True)[-1]


def _record_transfer(
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
    journal = Journal("transfer", transfer.stripe_transfer_id, entries)
    return [journal, *conversion_and_fee(transfer.balance, -transfer.amount)]


def _record_fee(tx: Tx, payment: Payment, venue: Share, fee: FeeAnswer) -> list[Journal]:
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


def refund_parameters(tx: Tx, refund: Refund) -> Json | None:
    """What a refund is to say about the destination of its charge; None when there is none, or it keeps out of it.

    A refund that only pays again what a failed one brought back took its part of the venue the first time.
    """
    booked = destination_charges.of_payment(tx, refund.payment_id)
    owed = refund_booking.returned(tx, refund.payment_id).open_obligation
    if booked is None or refund.amount.minor <= owed.minor:
        return None
    return asked_of_refund(has_fee=booked.fee_id is not None)


def record_refund(tx: Tx, payment: Payment, answer: RefundAnswer, *, by: str) -> list[Journal]:
    """Write what a refund reversed of the transfer and refunded of the fee by itself; the journals of what is new."""
    if answer.reversal is None and not answer.fee_refunds:
        return []
    booked = destination_charges.of_payment(tx, payment.payment_id)
    if booked is None:
        raise GiveUp(f"{answer.stripe_refund_id} reversed a transfer that we do not know: look up the payment")
    journals = _record_reversal(tx, booked, answer.reversal, by) if answer.reversal else []
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
    return journals


def _record_reversal(tx: Tx, booked: Booked, reversal: ReversalAnswer, by: str) -> list[Journal]:
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
    journal = Journal("transfer_reversal", reversal.stripe_reversal_id, entries)
    return [journal, *conversion_and_fee(reversal.balance, reversal.amount)]


def follow_stripe(
    tx: Tx, payment: Payment, everyone: Sequence[Share], parts: RefundAllocation
) -> tuple[RefundAllocation, Money | None]:
    """The parts of a refund with the venue's as Stripe took it, and that part; unchanged when they differ by more.

    The payment's shares are locked.
    """
    if not everyone or everyone[-1].mode != "destination" or not parts.venue.minor:
        return parts, None
    amount = Money(min(parts.venue.minor, sum(share.left_minor for share in everyone)), payment.currency)
    by_rule = sale_split.taken_back(amount, [share.left_minor for share in everyone])[-1]
    before = refund_booking.returned(tx, payment.payment_id)
    fee_left = Money(payment.platform_fee_minor or 0, payment.currency) - before.fee
    at_stripe = everyone[-1].gap  # what has come back of the venue, and no refund has taken of its share yet
    followed = give_way(parts, by_rule=by_rule, at_stripe=at_stripe, fee_left=fee_left)
    return (followed, at_stripe) if followed else (parts, None)
