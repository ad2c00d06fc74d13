"""share_reconcile: list Stripe's transfers -> compare the cut of each payment -> look again at the cases that are open.

Four books of one thing: what the rule gives each party, by the terms that were in force when the order came; the frozen
rows; the ledger; and the transfers at Stripe. Each discrepancy is a case (SHARE_DIFFERS) that closes itself once the
four agree. Reads only, moves no money. As reconcile: each page is one transaction with the run's cursor, so a run that
was killed goes on behind its last page, and the same page twice finds its cases there.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from loguru import logger

from db.reconciliation import case_views, cases
from db.reconciliation import runs as reconciliation_runs
from db.reconciliation.cases import CaseType
from db.reconciliation.runs import Run, StepFindings
from db.session import Database, Tx
from db.shares import reconcile as share_reconcile
from db.shares.reconcile import BookedTransfer, SplitPayment
from messages.money import Money
from messages.reconciliation import ShareReconciliationDue
from messages.runtime.crash_points import crash_point
from outbox.append import append
from stripe_client import transfers
from stripe_client.gateway import Gateway
from stripe_client.outcomes import TransferAnswer
from workers.rules import share_differences
from workers.rules.sale_split import RoyaltyTerm
from workers.rules.share_differences import BookedLeg, Difference, FrozenLeg, SplitSale, TransferRecord
from workers.runtime.actor import actor
from workers.runtime.settings import ReconcileSettings

BY = "royalty reconciliation"
# One delivery ends here and appends the next: far below its time limit in messages/queues.py.
RUN_SECONDS = 90.0
_AT_ONCE = 200
_AGREE = "rule, shares, ledger and Stripe agree"


@actor(ShareReconciliationDue)
def royalty_reconcile(msg: ShareReconciliationDue, db: Database, stripe: Gateway) -> None:
    started = time.monotonic()
    run = _begin_or_resume(db, f"shares_{msg.span}", ReconcileSettings())
    if run is None:
        return
    for here in _steps(db, stripe, run):
        crash_point("royalty_reconcile.step_done")
        if here.state == "running" and time.monotonic() - started > RUN_SECONDS:
            with db.system_transaction() as tx:
                append(tx, msg)
            return
        if here.state == "done":
            logger.info(
                "compared {} shares and transfers ({}), {} differ; {} cases opened, {} closed",
                *(here.lines, here.span, here.mismatches, here.cases_opened, here.cases_closed),
            )


def _begin_or_resume(db: Database, span: str, settings: ReconcileSettings) -> Run | None:
    reach = timedelta(days=settings.reconcile_daily_days)
    if span == "shares_rolling":
        reach = timedelta(hours=settings.reconcile_rolling_hours)
    with db.system_transaction() as tx:
        return reconciliation_runs.resume(tx, span) or reconciliation_runs.begin(
            tx, span, reach_seconds=reach.total_seconds(), grace_seconds=settings.reconcile_grace_seconds
        )


def _steps(db: Database, stripe: Gateway, run: Run) -> Iterator[Run]:
    """The run after each step, until it is done or somebody else has moved it."""
    here: Run | None = run
    if run.phase == "listing":
        for page in _pages(stripe, run):
            here = here and _compare_transfers(db, here, page)
            if here is None:
                return
            yield here
        here = here and _move(db, here, phase="searching")
    while here and here.phase == "searching":
        here = _compare_cuts(db, here)
        if here:
            yield here
    while here and here.state == "running":
        here = _recheck(db, stripe, here)
        if here:
            yield here


def _pages(stripe: Gateway, run: Run) -> Iterator[list[TransferAnswer]]:
    return transfers.listed_pages(
        stripe,
        since_epoch=run.window_from.timestamp(),
        before_epoch=run.window_until.timestamp(),
        starting_after=run.listed_to,
    )


def _move(db: Database, run: Run, *, phase: str) -> Run | None:
    with db.system_transaction() as tx:
        return reconciliation_runs.step(tx, run, StepFindings(), phase=phase)


# ------------------------------------------------------------------------------------------------ Stripe and the book


def _compare_transfers(db: Database, run: Run, page: list[TransferAnswer]) -> Run | None:
    """One page of Stripe's transfers: each is a row of ours, with its journal, its lines and what came back of it."""
    with db.system_transaction() as tx:
        differing, opened, closed = _judge_transfers(tx, page)
        progress = StepFindings(len(page), differing, opened, closed)
        return reconciliation_runs.step(tx, run, progress, listed_to=page[-1].stripe_transfer_id)


def _judge_transfers(tx: Tx, page: list[TransferAnswer]) -> tuple[int, int, int]:
    """Open and close cases of these transfers; returns how many differ, were opened and closed."""
    booked_transfers = share_reconcile.sent(
        tx,
        stripe_ids=[transfer_answer.stripe_transfer_id for transfer_answer in page],
        our_ids=[transfer_answer.transfer_id for transfer_answer in page if transfer_answer.transfer_id is not None],
    )
    by_stripe_id = {
        booked_transfer.stripe_transfer_id: booked_transfer
        for booked_transfer in booked_transfers
        if booked_transfer.stripe_transfer_id
    }
    by_our_id = {booked_transfer.transfer_id: booked_transfer for booked_transfer in booked_transfers}
    differing, opened, well = 0, 0, []
    for answer in page:
        row = by_stripe_id.get(answer.stripe_transfer_id)
        claimed = by_our_id.get(answer.transfer_id) if answer.transfer_id else None
        if row is None and claimed is not None and claimed.state in {"requested", "sending"}:
            continue  # its answer was lost and is looked up: no difference yet
        if row is None and answer.tenant_id is None:
            continue  # nobody of ours made it: the bank's own line of it is a case of reconciliation
        wrong = [] if row is not None and row.moving else _transfer_differences(answer, row)
        if wrong:
            differing += 1
            opened += _open_transfer(tx, answer, row or claimed, wrong)
        else:
            well.append(answer.stripe_transfer_id)
    closed = cases.close_all(tx, types=[CaseType.SHARE_DIFFERS], subjects=well, by=BY, because=_AGREE)
    return differing, opened, closed


def _transfer_differences(answer: TransferAnswer, row: BookedTransfer | None) -> list[Difference]:
    at_stripe = TransferRecord(answer.amount, answer.account_id, answer.reversed.minor)
    if row is None:
        return share_differences.of_transfer(at_stripe, None, journal_minor=0, line_minor=0, netted_minor=0)
    in_book = TransferRecord(Money(row.amount_minor, row.currency), row.account_id, row.back_minor)
    return share_differences.of_transfer(
        at_stripe,
        in_book,
        journal_minor=row.journal_minor,
        line_minor=row.line_minor,
        netted_minor=row.netted_minor,
    )


def _open_transfer(tx: Tx, answer: TransferAnswer, row: BookedTransfer | None, wrong: list[Difference]) -> bool:
    return cases.open_case(
        tx,
        type=CaseType.SHARE_DIFFERS,
        subject=answer.stripe_transfer_id,
        details=f"transfer {answer.stripe_transfer_id}: " + "; ".join(difference.said for difference in wrong),
        tenant_id=row.tenant_id if row else None,
        payment_id=row.payment_id if row else None,
        amount=Money(sum(difference.minor for difference in wrong), answer.amount.currency),
    )


# ------------------------------------------------------------------------------------- the rule, the rows, the ledger


def _compare_cuts(db: Database, run: Run) -> Run | None:
    """One page of payments, from the last one's moment on."""
    with db.system_transaction() as tx:
        page = share_reconcile.page(tx, after=run.searched_until, until=run.window_until, size=_AT_ONCE)
        if not page:
            return reconciliation_runs.step(tx, run, StepFindings(), phase="rechecking")
        differing, opened, closed = _judge_cuts(tx, page)
        progress = StepFindings(len(page), differing, opened, closed)
        return reconciliation_runs.step(tx, run, progress, searched_until=page[-1].frozen_at)


def _judge_cuts(tx: Tx, page: list[SplitPayment]) -> tuple[int, int, int]:
    opened, well, differing = 0, [], 0
    for cut in page:
        wrong = share_differences.differences(_as_sale(cut))
        if not wrong:
            well.append(str(cut.payment_id))
            continue
        differing += 1
        opened += cases.open_case(
            tx,
            type=CaseType.SHARE_DIFFERS,
            subject=str(cut.payment_id),
            details="; ".join(difference.said for difference in wrong),
            tenant_id=cut.tenant_id,
            payment_id=cut.payment_id,
            amount=Money(sum(difference.minor for difference in wrong), cut.currency),
        )
    closed = cases.close_all(tx, types=[CaseType.SHARE_DIFFERS], subjects=well, by=BY, because=_AGREE)
    return differing, opened, closed


def _as_sale(cut: SplitPayment) -> SplitSale:
    return SplitSale(
        captured=Money(cut.captured_minor, cut.currency),
        fee=Money(cut.fee_minor, cut.currency),
        given_back=cut.given_back_minor,
        venue_id=cut.venue_id,
        seller_id=cut.seller_id,
        basis="seller" if cut.sale == "resale" else "venue",
        promised=[RoyaltyTerm(UUID(recipient), points) for recipient, points in cut.royalties],
        legs=[
            FrozenLeg(
                recipient_id=UUID(leg["recipient_id"]),
                basis=leg["basis"],
                basis_points=leg["basis_points"],
                amount=leg["amount"],
                taken=leg["taken"],
                told_taken=int(leg["told_taken"]),
                receivable=int(leg["receivable"]),
                reached=int(leg["sent"]) - int(leg["back"]),
                settled=leg["state"] == "settled",
            )
            for leg in cut.legs
        ],
        booked={
            UUID(one["party"]): BookedLeg(int(one["distributed"]), int(one["clawed"]), int(one["receivable"]))
            for one in cut.booked
        },
    )


# ----------------------------------------------------------------------------------------------------- open cases


def _recheck(db: Database, stripe: Gateway, run: Run) -> Run | None:
    """Some of the open cases, also those of payments and transfers outside the window."""
    with db.system_transaction() as tx:
        standing = case_views.open_after(tx, types=[CaseType.SHARE_DIFFERS], after=run.rechecked_to, limit=_AT_ONCE)
    subjects = [case.subject for case in standing]
    read = [transfers.retrieve(stripe, one) for one in subjects if one.startswith("tr_")]
    with db.system_transaction() as tx:
        cuts = share_reconcile.of_payments(tx, [UUID(one) for one in subjects if not one.startswith("tr_")])
        judged = (
            _judge_cuts(tx, cuts),
            _judge_transfers(tx, [transfer_answer for transfer_answer in read if transfer_answer is not None]),
        )
        progress = StepFindings(cases_closed=sum(closed for _, _, closed in judged))
        last = standing[-1].case_id if standing else None
        return reconciliation_runs.step(tx, run, progress, rechecked_to=last, done=len(standing) < _AT_ONCE)
