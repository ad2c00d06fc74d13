"""The cut of a sale into shares, and what refunds and lost disputes take of them. Inside the caller's transaction.

Frozen once, together with the charge's journal: what each recipient is to get is a row and stands in the ledger before
anybody is paid. Whatever is taken back later is taken of these rows in proportion, in the transaction that books the
refund or the loss; bringing the money itself back is the work of workers/shares/share.py. Payments that succeeded
before there were shares have none, and nothing is taken of them.
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
from messages.ids import PaymentId
from messages.money import Money
from messages.shares import ShareDue, ShareTakenBack
from messages.verdicts import GiveUp
from outbox.append import append
from workers.rules import sale_split
from workers.rules.sale_split import Leg, RoyaltyTerm


def freeze(
    tx: Tx, payment: Payment, captured: Money, platform_fee: Money, *, destination: bool, by: str
) -> list[Journal]:
    """Cut a payment that has just succeeded; returns what the ledger is to book of it beside the charge.

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
    if why_free is not None:
        share_ids = [share.share_id for share in frozen if share.payable and share.amount.minor]
        owner = {"tenant_id": payment.tenant_id, "payment_id": payment.payment_id}
        append(tx, *[ShareDue.model_validate(owner | {"share_id": share_id}) for share_id in share_ids])
    entries = share_booking.distribution_entries(((share.owner, share.amount) for share in frozen), payment.venue_id)
    return [Journal("distribution", str(payment.payment_id), entries)] if entries else []


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


def _due(share: Share) -> ShareDue:
    return ShareDue(tenant_id=share.tenant_id, payment_id=share.payment_id, share_id=share.share_id)


def take_back(
    tx: Tx, payment: Payment, amount: Money, *, fee_borne: Money, source_id: str, of_seller: Money | None = None
) -> None:
    """A refund or a loss of the locked payment took `given` from all but the platform: take it of the shares.

    `fee_borne` of it is the platform's fee, kept by the venue's policy: whoever sold bears that alone. The rest comes
    back in proportion to what each share still has (M12); `of_seller` is known when Stripe has taken it already.
    """
    everyone = shares.of_payment(tx, payment.payment_id, locked=True)
    if not everyone or not amount.minor:
        return
    left = [share.left_minor for share in everyone]
    proportional = min(amount.minor - fee_borne.minor, sum(left))
    if of_seller is None:
        parts = sale_split.taken_back(Money(proportional, amount.currency), left)
    else:
        rest = Money(proportional, amount.currency) - of_seller
        parts = [*sale_split.taken_back(rest, left[:-1]), of_seller]
    borne = Money(amount.minor - proportional, amount.currency)
    zero = Money(0, amount.currency)
    returns = [
        Clawback(share.share_id, part, borne if share is everyone[-1] else zero)
        for share, part in zip(everyone, parts, strict=True)
    ]
    clawbacks.take_back(tx, source_id, returns)
    _book_returns(tx, payment, everyone, returns, kind="clawback", source_id=source_id)
    for share, taken in zip(everyone, returns, strict=True):
        _follow(tx, share, taken, source_id)


def _follow(tx: Tx, share: Share, taken: Clawback, source_id: str) -> None:
    """What was paid is to come back. What was not is only less now: that needs no work, and nobody hears of it."""
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
        append(tx, share_taken_back, _due(share))
    elif share.waits_for is not None or taken.borne.minor:
        append(tx, _due(share))
    elif taken.returned.minor == share.left_minor:
        shares.move(tx, share, ShareState.SETTLED, by="distribution", reason="everything was given back")


def give_again(tx: Tx, payment: Payment, *, source_id: str) -> None:
    """A dispute that was lost is won after all: what it took of the shares is theirs again."""
    returns = clawbacks.give_again(tx, source_id)
    if not returns:
        return
    known = {share.share_id: share for share in shares.of_payment(tx, payment.payment_id, locked=True)}
    touched = [known[clawback.share_id] for clawback in returns]
    _book_returns(tx, payment, touched, returns, kind="clawback_undone", source_id=source_id)
    append(tx, *[_due(share) for share in touched])


def wake(tx: Tx, payment_id: PaymentId) -> None:
    """Something that shares of the payment may have waited for is over: look at them again."""
    append(tx, *[_due(share) for share in shares.of_payment(tx, payment_id) if share.waits_for is not None])


def _book_returns(
    tx: Tx, payment: Payment, touched: Sequence[Share], returns: Sequence[Clawback], *, kind: str, source_id: str
) -> None:
    parts = [
        (share.owner, Money(clawback.returned.minor + clawback.borne.minor, share.currency))
        for share, clawback in zip(touched, returns, strict=True)
    ]
    entries = share_booking.distribution_entries(parts, payment.venue_id)
    if entries:
        lines = entries if kind == "clawback_undone" else ledger.mirror(entries)
        ledger.post(tx, kind=kind, source_id=source_id, payment_id=payment.payment_id, entries=lines)
