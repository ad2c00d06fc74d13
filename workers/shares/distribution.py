"""How a sale is split into shares, and what refunds and lost disputes claw back of them. In the caller's transaction.

Frozen once, together with the charge's journal: what each recipient is to get is a row and stands in the ledger before
anybody is paid. Whatever is clawed back later is taken from these rows in proportion, in the transaction that books the
refund or the loss; moving the money itself is the work of workers/shares/share.py. Payments that succeeded before
there were shares have none, and nothing is clawed back of them. Each function writes its rows and returns what the
settlement is to book.
"""

from collections.abc import Sequence

from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.payments.payments import Payment
from db.session import Tx
from db.shares import booking as share_booking
from db.shares import clawbacks, sale_terms, shares
from db.shares.clawbacks import Clawback
from db.shares.sale_terms import SaleTerms
from db.shares.shares import NewShare, Share
from db.shares.states import ShareState
from messages.base import Fact, Message
from messages.ids import PaymentId
from messages.money import Money
from messages.shares import ShareDue, ShareTakenBack
from messages.verdicts import GiveUp
from workers.ledger.booking import NOTHING, Booking
from workers.rules import sale_split
from workers.rules.refund_allocation import RefundAllocation
from workers.rules.sale_split import Leg, RoyaltyTerm


def freeze(tx: Tx, payment: Payment, captured: Money, platform_fee: Money, *, destination: bool, by: str) -> Booking:
    """Split a payment that has just succeeded; its journal, and a look at each share that can be paid at once.

    `destination` says what the charge was at Stripe, whatever the venue's settlement mode has become meanwhile.

    Raises:
        GiveUp: the royalties that are set promise more than there is.
    """
    terms = sale_terms.terms_of(tx, payment.payment_id)
    why_free = _released_because(payment, terms.escrow_days, destination=destination)
    legs = cut(payment, terms, captured, platform_fee)
    frozen = shares.freeze(
        tx,
        payment.payment_id,
        [_as_share(leg, held=why_free is None) for leg in legs],
        shares.SplitTerms(
            sale=payment.sale,
            mode="destination" if destination else "separate",
            event_id=terms.event_id,
            escrow_days=None if destination else terms.escrow_days,
            released_because=why_free,
        ),
        by=by,
    )
    entries = share_booking.distribution_entries(((share.owner, share.amount) for share in frozen), payment.venue_id)
    journals = [Journal("distribution", str(payment.payment_id), entries)] if entries else []
    if why_free is None:
        return Booking(journals)
    owner = {"tenant_id": payment.tenant_id, "payment_id": payment.payment_id}
    payable = [share.share_id for share in frozen if share.payable and share.amount.minor]
    return Booking(journals, [ShareDue.model_validate(owner | {"share_id": share_id}) for share_id in payable])


def cut(payment: Payment, terms: SaleTerms, sold: Money, platform_fee: Money) -> list[Leg]:
    """The legs of a sale, whoever sells being the last.

    Raises:
        GiveUp: the royalties that are set promise more than there is.
    """
    resale = payment.sale == "resale"
    promised = [RoyaltyTerm(recipient, points) for recipient, points in terms.royalties]
    seller_id = payment.seller_id if resale and payment.seller_id else payment.venue_id
    try:
        return sale_split.legs(sold, platform_fee, promised, seller_id=seller_id, basis="seller" if resale else "venue")
    except ValueError as error:
        raise GiveUp(f"{error}; mend the royalty settings of venue {payment.venue_id} and replay this") from None


def _released_because(payment: Payment, escrow_days: int | None, *, destination: bool) -> str | None:
    """None while the shares are held: by the venue's escrow, since the money is about to go back, or until the group
    that the payment belongs to is settled (before that, one member that is missing sends everything back).
    """
    if destination:
        return "the money has moved with the charge"
    if payment.cancel_reason is not None or payment.group_id is not None or escrow_days is not None:
        return None
    return "the venue holds no money back"


def _as_share(leg: Leg, *, held: bool) -> NewShare:
    state = ShareState.HELD if held else ShareState.RELEASED
    return NewShare(
        leg.recipient_id, leg.basis, leg.basis_points, leg.amount, state if leg.amount.minor else ShareState.SETTLED
    )


def claw_back(
    tx: Tx,
    payment: Payment,
    everyone: Sequence[Share],
    parts: RefundAllocation,
    *,
    source_id: str,
    of_seller: Money | None = None,
) -> Booking:
    """Take of the payment's shares, which are locked, what a refund or a loss takes of all but the platform.

    `parts.fee_borne` of it is the platform's fee, kept by the venue's policy: whoever sold bears that alone. The rest
    is taken in proportion to what each share still has (M12); `of_seller` is known when Stripe has taken it already.
    """
    if not everyone or not parts.venue.minor:
        return NOTHING
    returns = _returns(everyone, parts, of_seller)
    clawbacks.take_back(tx, source_id, returns)
    messages: list[Message | Fact] = []
    for share, taken in zip(everyone, returns, strict=True):
        messages += _after_clawback(tx, share, taken, source_id)
    return Booking(_returned(payment, everyone, returns, kind="clawback", source_id=source_id), messages)


def _returns(everyone: Sequence[Share], parts: RefundAllocation, of_seller: Money | None) -> list[Clawback]:
    """What each share gives; the last is whoever sold."""
    amount, left = parts.venue, [share.left_minor for share in everyone]
    proportional = Money(min(amount.minor - parts.fee_borne.minor, sum(left)), amount.currency)
    if of_seller is None:
        given = sale_split.taken_back(proportional, left)
    else:
        given = [*sale_split.taken_back(proportional - of_seller, left[:-1]), of_seller]
    zero, borne = Money(0, amount.currency), amount - proportional
    return [
        Clawback(share.share_id, part, borne if share is everyone[-1] else zero)
        for share, part in zip(everyone, given, strict=True)
    ]


def _after_clawback(tx: Tx, share: Share, taken: Clawback, source_id: str) -> list[Message | Fact]:
    """What was paid has to be taken back. What was not paid is only less now, and nothing is published of that."""
    amount = taken.returned.minor + taken.borne.minor
    with_refund = share.mode == "destination" and share.basis == "venue"  # Stripe has brought it back already
    if amount and (share.reached_minor or share.moving or with_refund):
        share_taken_back = ShareTakenBack(
            tenant_id=share.tenant_id,
            payment_id=share.payment_id,
            order_id=share.order_id,
            share_id=share.share_id,
            recipient_id=share.recipient_id,
            amount=Money(amount, share.currency),
            source=source_id,
        )
        return [share_taken_back, _due(share)]
    if share.waits_for is not None or taken.borne.minor:
        return [_due(share)]
    if taken.returned.minor == share.left_minor:
        shares.move(tx, share, ShareState.SETTLED, by="distribution", reason="everything was given back")
    return []


def undo_clawback(tx: Tx, payment: Payment, *, source_id: str) -> Booking:
    """A dispute that was lost is won after all: what it took of the shares is theirs again."""
    returns = clawbacks.give_again(tx, source_id)
    if not returns:
        return NOTHING
    known = {share.share_id: share for share in shares.of_payment(tx, payment.payment_id, locked=True)}
    touched = [known[clawback.share_id] for clawback in returns]
    journals = _returned(payment, touched, returns, kind="clawback_undone", source_id=source_id)
    return Booking(journals, [_due(share) for share in touched])


def waiting_shares_due(tx: Tx, payment_id: PaymentId) -> Booking:
    """Something that shares of the payment may have waited for is over: have them looked at again."""
    waiting = [share for share in shares.of_payment(tx, payment_id) if share.waits_for is not None]
    return Booking(messages=[_due(share) for share in waiting])


def _due(share: Share) -> ShareDue:
    return ShareDue(tenant_id=share.tenant_id, payment_id=share.payment_id, share_id=share.share_id)


def _returned(
    payment: Payment, touched: Sequence[Share], returns: Sequence[Clawback], *, kind: str, source_id: str
) -> list[Journal]:
    parts = [
        (share.owner, Money(clawback.returned.minor + clawback.borne.minor, share.currency))
        for share, clawback in zip(touched, returns, strict=True)
    ]
    entries = share_booking.distribution_entries(parts, payment.venue_id)
    if not entries:
        return []
    return [Journal(kind, source_id, entries if kind == "clawback_undone" else ledger.mirror(entries))]
