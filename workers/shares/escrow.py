"""escrow: release the payments whose time in escrow is over -> re-enqueue stuck shares -> open cases for operators.

Payments that may leave escrow are read page by page, in the order of their ids; each is released in a short transaction
of its own, which checks again under its lock. So it may die at any line, and run twice at once: what is done stays
done, the next minute's run goes on, and a payment leaves escrow once. The shares themselves are paid by
workers/shares/share.py, which checks once more for disputes and refunds before it pays.
"""

import time

from loguru import logger

from db.reconciliation.cases import CaseType
from db.session import Database
from db.shares import escrow as share_escrow
from db.shares import overdue as share_overdue
from db.shares import stuck as share_stuck
from db.shares.stuck import StuckTransfer
from messages.base import Message
from messages.ids import PaymentId, ReversalId, ShareId, TenantId, TransferId
from messages.runtime.crash_points import crash_point
from messages.shares import AccountLookupRequested, EscrowDue, ReversalRequested, ShareDue, TransferRequested
from outbox.append import append
from workers.ledger.booking import book
from workers.reconciliation.cases import keep_cases
from workers.runtime.actor import actor
from workers.runtime.settings import EscrowSettings, SweepSettings
from workers.shares.release import release_from_escrow

BY = "escrow"
PAGE = 200
# Half of the minute until the next run, and far below the route's time limit: what is left is still due then.
BUDGET_SECONDS = 30.0
WOKEN_AT_ONCE = 500


@actor(EscrowDue)
def escrow(_msg: EscrowDue, db: Database) -> None:
    """Release what is due within BUDGET_SECONDS, wake what is stuck, and bring the cases of shares up to date.

    Each part commits by itself: one that fails is tried again with the next minute's message.
    """
    settings = EscrowSettings()
    _release_due(db)
    _requeue_stuck(db, SweepSettings().sweep_after_seconds)
    with db.system_transaction() as tx:
        keep_cases(
            tx,
            {
                CaseType.ESCROW_NEAR_LIMIT: share_overdue.escrow_near_limit(
                    tx,
                    limit_days=settings.escrow_limit_days,
                    limit_days_of=settings.escrow_limit_days_of,
                    alarm_days=settings.escrow_alarm_days,
                ),
                CaseType.SHARE_STUCK: share_overdue.shares_stuck(tx, older_than_days=settings.share_alarm_days),
                CaseType.RECEIVABLE_OVER_LIMIT: share_overdue.receivables_over(
                    tx, limit_minor=settings.receivable_limit_minor
                ),
            },
            by=BY,
        )


def _release_due(db: Database) -> None:
    began, after, count = time.monotonic(), None, 0
    while time.monotonic() - began < BUDGET_SECONDS:
        with db.system_transaction() as tx:
            page = share_escrow.due(tx, after=after, limit=PAGE)
        for tenant_id, payment_id in page:
            count += _release_one(db, tenant_id, payment_id)
        if len(page) < PAGE:
            break
        after = page[-1][1]
    if count:
        logger.info("released the shares of {} payments from escrow", count)


def _release_one(db: Database, tenant_id: TenantId, payment_id: PaymentId) -> bool:
    """Release one payment under its lock; False when it is held, gone, or locked by another transaction."""
    with db.transaction(tenant_id) as tx:
        current = share_escrow.lock(tx, payment_id)
        if current is None or current.kept_by is not None:  # somebody was first, or something came in between
            return False
        because = "the event is over" if current.held_minor else "nothing of it is left"
        book(tx, payment_id, release_from_escrow(tx, tenant_id, current, by=BY, because=because))
        crash_point("escrow.before_commit")
    crash_point("escrow.after_commit")
    return True


def _requeue_stuck(db: Database, patience_seconds: float) -> None:
    """Append the message of each stuck share, transfer or reversal; one look-up for each account, however many
    shares wait.
    """
    with db.system_transaction() as tx:
        standing = share_stuck.take(tx, older_than_seconds=patience_seconds, limit=WOKEN_AT_ONCE)
        messages = [_message(stuck_transfer) for stuck_transfer in standing if stuck_transfer.account_id is None]
        accounts = sorted(
            {stuck_transfer.account_id for stuck_transfer in standing if stuck_transfer.account_id is not None}
        )
        append(tx, *messages, *[AccountLookupRequested(account_id=account_id) for account_id in accounts])
    if standing:
        logger.info("re-enqueued {} stuck shares, transfers and reversals", len(standing))


def _message(stuck_transfer: StuckTransfer) -> Message:
    if stuck_transfer.wake_as == TransferRequested.kind:
        return TransferRequested(tenant_id=stuck_transfer.tenant_id, transfer_id=TransferId(stuck_transfer.subject_id))
    if stuck_transfer.wake_as == ReversalRequested.kind:
        return ReversalRequested(tenant_id=stuck_transfer.tenant_id, reversal_id=ReversalId(stuck_transfer.subject_id))
    assert stuck_transfer.payment_id is not None, "a share has its payment"
    return ShareDue(
        tenant_id=stuck_transfer.tenant_id,
        payment_id=stuck_transfer.payment_id,
        share_id=ShareId(stuck_transfer.subject_id),
    )
