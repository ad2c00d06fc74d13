"""What Stripe says of a dispute, and what that does, whoever asked.

Phases of `look_at`: read how often the dispute was written, ask Stripe, lock the payment, and write only if nobody
wrote meanwhile; so an answer never overwrites a newer one, in whatever order events and lookups come. The move, the
journals of what Stripe's balance shows, the loss and the events are one transaction; what is known already changes
nothing. Who bears a loss is decided as for a refund, in workers/refunds/allocation.py.
"""

from loguru import logger

from db.disputes import booking as dispute_booking
from db.disputes import disputes
from db.disputes.booking import BookableMovement
from db.disputes.disputes import Dispute, DisputeSnapshot
from db.disputes.states import LOST_DISPUTES, UNDER_REVIEW, DisputeStatus
from db.ledger import journals as ledger
from db.ledger.journals import Entry, Journal
from db.payments import payments
from db.payments.payments import Payment
from db.session import Database, Tx
from db.shares import shares
from messages.disputes import DisputeClosed, DisputeOpened
from messages.ids import DisputeId
from messages.money import Money
from messages.runtime.crash_points import crash_point
from messages.verdicts import GiveUp, TryAgain
from outbox.requests import dispute_evidence
from stripe_client import disputes as stripe_disputes
from stripe_client.gateway import Gateway
from stripe_client.outcomes import DisputeAnswer, DisputeMovement
from workers.ledger.booking import NOTHING, Booking, book
from workers.ledger.conversion_and_fee import conversion
from workers.refunds.allocation import who_bears
from workers.rules import disputes as rules
from workers.shares.distribution import claw_back, undo_clawback, waiting_shares_due

# Each look takes one read of Stripe; that somebody else is first so often in a row means a storm, and a retry waits.
MOST_LOOKS = 5


def look_at(db: Database, stripe: Gateway, payment: Payment, dispute_id: DisputeId, *, by: str) -> Dispute:
    """Ask Stripe for the dispute's status, and bring ours there.

    Raises:
        TryAgain: others wrote each time while we asked.
        GiveUp: Stripe contradicts the database, or says what we cannot read; a person must look.
        Verdict: Stripe did not answer.
    """
    for _ in range(MOST_LOOKS):
        with db.transaction(payment.tenant_id) as tx:
            read = disputes.get(tx, dispute_id)
        answer = stripe_disputes.retrieve(stripe, dispute_id)
        with db.transaction(payment.tenant_id) as tx:
            current = payments.lock(tx, payment.payment_id)
            assert current is not None, "payments are never deleted, and this one was read a moment ago"
            before = disputes.get(tx, dispute_id)
            if _looks(before) == _looks(read):
                settled = settle_dispute(tx, current, before, answer, by=by)
                crash_point("dispute.before_commit")
                return settled
    raise TryAgain("the dispute was written by others each time while Stripe was asked")


def _looks(dispute: Dispute | None) -> int:
    return dispute.looks if dispute else 0


def settle_dispute(tx: Tx, payment: Payment, before: Dispute | None, answer: DisputeAnswer, *, by: str) -> Dispute:
    """Write what Stripe has just said of a dispute of the locked payment, which we had as `before`."""
    _require_ours(payment, before, answer)
    status = DisputeStatus(answer.status)
    seen = DisputeSnapshot(
        dispute_id=answer.dispute_id,
        charge_id=answer.charge_id,
        amount=answer.amount,
        reason=answer.reason,
        status=status,
        evidence_due_at=answer.evidence_due_at,
        card_facts=answer.card_facts or None,
        opened_at=answer.opened_at,
    )
    stage = rules.stage_of(answer.status, before.stage if before else None)
    if before is None:
        disputes.record(tx, payment.payment_id, seen, stage=stage, submitted=status in UNDER_REVIEW, by=by)
    elif not disputes.move(tx, seen, stage=stage, submitted=status in UNDER_REVIEW, by=by):
        raise GiveUp(
            f"Stripe has {answer.dispute_id} as {status}, the database as {before.status}, which cannot become that: "
            "look at both"
        )
    movements = [_movement(tx, payment, answer, movement) for movement in answer.movements]
    now = _read(tx, answer.dispute_id)
    loss = _loss(tx, payment, now)
    _draft_evidence(tx, before, now)
    book(tx, payment.payment_id, *movements, loss, _published(tx, before, now))
    return now


def _require_ours(payment: Payment, dispute: Dispute | None, answer: DisputeAnswer) -> None:
    other_payment = dispute is not None and dispute.payment_id != payment.payment_id
    if other_payment or answer.amount.currency != payment.currency:
        raise GiveUp(f"Stripe has {answer.dispute_id} over {answer.amount}, which is not the payment's: look at both")


def _read(tx: Tx, dispute_id: DisputeId) -> Dispute:
    dispute = disputes.get(tx, dispute_id)
    assert dispute is not None, "it was written a moment ago in this transaction"
    return dispute


def _movement(tx: Tx, payment: Payment, answer: DisputeAnswer, movement: DisputeMovement) -> Booking:
    """One journal for each balance transaction, and its conversion when the balance is in another currency."""
    balance = movement.balance
    moved = rules.moved(balance.amount, answer.amount)
    row = BookableMovement(balance.balance_transaction_id, movement.category, moved, balance.amount, balance.fee)
    if not dispute_booking.record(tx, answer.dispute_id, row):
        return NOTHING
    logger.warning("dispute moved {}, fee {}", moved, balance.fee, dispute_id=answer.dispute_id)
    entries = ledger.dispute_entries(moved, balance.fee, payment.venue_id)
    journals = [Journal(movement.category, balance.balance_transaction_id, entries)] if entries else []
    return Booking([*journals, *conversion(balance, moved)])


def _loss(tx: Tx, payment: Payment, dispute: Dispute) -> Booking:
    """Venue and platform bear a loss as they bear a refund, once its money is gone; a late win is its mirror."""
    if dispute.status in LOST_DISPUTES and dispute.lost_minor is None:
        held = dispute_booking.withdrawn(tx, dispute)
        if held.minor > 0:
            parts = who_bears(tx, payment, held)
            if dispute_booking.mark_lost(tx, dispute, lost=held, obligation=parts.obligation, platform=parts.platform):
                entries = _loss_entries(payment, parts.obligation, parts.platform, parts.venue)
                lost = Booking([Journal("dispute_lost", dispute.dispute_id, entries)])
                sharing = shares.of_payment(tx, payment.payment_id, locked=True)
                return lost + claw_back(tx, payment, sharing, parts, source_id=dispute.dispute_id)
    elif dispute.status is DisputeStatus.WON and dispute_booking.mark_loss_reversed(tx, dispute):
        entries = ledger.mirror(_loss_entries(payment, *_booked_parts(dispute)))
        won = Booking([Journal("dispute_won", dispute.dispute_id, entries)])
        return won + undo_clawback(tx, payment, source_id=dispute.dispute_id)
    return NOTHING


def _loss_entries(payment: Payment, obligation: Money, platform: Money, venue: Money) -> list[Entry]:
    return ledger.dispute_lost_entries(obligation=obligation, platform=platform, venue=venue, venue_id=payment.venue_id)


def _booked_parts(dispute: Dispute) -> tuple[Money, Money, Money]:
    lost, obligation, platform = dispute.lost_minor, dispute.lost_obligation_minor, dispute.lost_platform_fee_minor
    assert lost is not None, "only a booked loss is reversed"
    assert obligation is not None, "the parts of a loss are booked together"
    assert platform is not None, "the parts of a loss are booked together"
    parts = (obligation, platform, lost - obligation - platform)
    first, second, third = (Money(minor, dispute.currency) for minor in parts)
    return first, second, third


def _draft_evidence(tx: Tx, before: Dispute | None, now: Dispute) -> None:
    """A new stage can be answered: assemble what we know, for an operator to read and send."""
    if now.is_answerable and (before is None or before.stage != now.stage):
        disputes.write_evidence(tx, now.dispute_id, dispute_evidence.draft(tx, now).evidence, by="fleet")


def _published(tx: Tx, before: Dispute | None, now: Dispute) -> Booking:
    """The events of a dispute that is new or closed; what is closed, no share waits for any more."""
    facts = {
        "tenant_id": now.tenant_id,
        "payment_id": now.payment_id,
        "order_id": now.order_id,
        "dispute_id": now.dispute_id,
        "amount": now.amount,
    }
    booking = NOTHING
    if before is None or (before.track, now.track) == ("inquiry", "chargeback"):
        opened = facts | {"reason": now.reason, "track": now.track, "evidence_due_at": now.evidence_due_at}
        booking += Booking(messages=[DisputeOpened.model_validate(opened)])
        logger.warning("{} of {} opened: {}", now.track, now.amount, now.reason, dispute_id=now.dispute_id)
    if now.is_closed and (before is None or before.status is not now.status):
        closed = DisputeClosed.model_validate(facts | {"outcome": now.status.value})
        booking += waiting_shares_due(tx, now.payment_id) + Booking(messages=[closed])
        logger.warning("dispute of {} closed: {}", now.amount, now.status.value, dispute_id=now.dispute_id)
    return booking
