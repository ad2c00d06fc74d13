"""reconcile_shares: list Stripe's transfers -> compare the split of each payment -> check the open cases again.

Four records of one thing: what the rule gives each party, by the terms in force when the order came; the share rows;
the ledger; and the transfers at Stripe. Each discrepancy is a case (SHARE_DIFFERS) that closes once the four agree.
Reads only, moves no money. workers/reconciliation/run_loop.py says why a run that was killed, or a second one, is
harmless.
"""

from collections.abc import Iterator
from functools import partial
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
from stripe_client import transfers
from stripe_client.gateway import Gateway
from stripe_client.outcomes import TransferAnswer
from workers.reconciliation.run_loop import Comparison, run_comparison
from workers.rules import share_differences
from workers.rules.sale_split import RoyaltyTerm
from workers.rules.share_differences import BookedLeg, Difference, FrozenLeg, SplitSale, TransferRecord
from workers.runtime.actor import actor
from workers.runtime.settings import ReconcileSettings

BY = "share reconciliation"
_AT_ONCE = 200
_AGREE = "rule, shares, ledger and Stripe agree"


@actor(ShareReconciliationDue)
def reconcile_shares(msg: ShareReconciliationDue, db: Database, stripe: Gateway) -> None:
    """Compare transfers with Stripe and splits with their rules, by the loop of run_loop.py; each difference is a case.

    Its spans are its own (`shares_...`), so it never shares a cursor with the reconciliation of the balance.
    """
    comparison = Comparison(
        pages=partial(_pages, stripe),
        compare=partial(_compare_transfers, db),
        search=partial(_compare_splits, db),
        recheck=partial(_recheck, db, stripe),
        finish=_finish,
    )
    run_comparison(msg, db, comparison, ReconcileSettings(), span=f"shares_{msg.span}")


def _pages(stripe: Gateway, run: Run) -> Iterator[list[TransferAnswer]]:
    return transfers.listed_pages(
        stripe,
        since_epoch=run.window_from.timestamp(),
        before_epoch=run.window_until.timestamp(),
        starting_after=run.listed_to,
    )


def _finish(run: Run) -> None:
    logger.info(
        "compared {} shares and transfers ({}), {} differ; {} cases opened, {} closed",
        *(run.lines, run.span, run.mismatches, run.cases_opened, run.cases_closed),
    )


# ------------------------------------------------------------------------------------------------ Stripe and the book


def _compare_transfers(db: Database, run: Run, page: list[TransferAnswer]) -> Run | None:
    """One page of Stripe's transfers: each is a row of ours, with its journal, its lines and what came back of it."""
    with db.system_transaction() as tx:
        differing, opened, closed = _transfer_cases(tx, page)
        progress = StepFindings(len(page), differing, opened, closed)
        return reconciliation_runs.step(tx, run, progress, listed_to=page[-1].stripe_transfer_id)


def _transfer_cases(tx: Tx, page: list[TransferAnswer]) -> tuple[int, int, int]:
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


def _compare_splits(db: Database, run: Run) -> Run | None:
    """One page of payments, from the last one's moment on."""
    with db.system_transaction() as tx:
        page = share_reconcile.page(tx, after=run.searched_until, until=run.window_until, size=_AT_ONCE)
        if not page:
            return reconciliation_runs.step(tx, run, StepFindings(), phase="rechecking")
        differing, opened, closed = _split_cases(tx, page)
        progress = StepFindings(len(page), differing, opened, closed)
        return reconciliation_runs.step(tx, run, progress, searched_until=page[-1].frozen_at)


def _split_cases(tx: Tx, page: list[SplitPayment]) -> tuple[int, int, int]:
    opened, well, differing = 0, [], 0
    for split in page:
        wrong = share_differences.differences(_as_sale(split))
        if not wrong:
            well.append(str(split.payment_id))
            continue
        differing += 1
        opened += cases.open_case(
            tx,
            type=CaseType.SHARE_DIFFERS,
            subject=str(split.payment_id),
            details="; ".join(difference.said for difference in wrong),
            tenant_id=split.tenant_id,
            payment_id=split.payment_id,
            amount=Money(sum(difference.minor for difference in wrong), split.currency),
        )
    closed = cases.close_all(tx, types=[CaseType.SHARE_DIFFERS], subjects=well, by=BY, because=_AGREE)
    return differing, opened, closed


def _as_sale(split: SplitPayment) -> SplitSale:
    return SplitSale(
        captured=Money(split.captured_minor, split.currency),
        fee=Money(split.fee_minor, split.currency),
        given_back=split.given_back_minor,
        venue_id=split.venue_id,
        seller_id=split.seller_id,
        basis="seller" if split.sale == "resale" else "venue",
        promised=[RoyaltyTerm(UUID(recipient), points) for recipient, points in split.royalties],
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
            for leg in split.legs
        ],
        booked={
            UUID(one["party"]): BookedLeg(int(one["distributed"]), int(one["clawed"]), int(one["receivable"]))
            for one in split.booked
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
        splits = share_reconcile.of_payments(tx, [UUID(one) for one in subjects if not one.startswith("tr_")])
        results = (
            _split_cases(tx, splits),
            _transfer_cases(tx, [transfer_answer for transfer_answer in read if transfer_answer is not None]),
        )
        progress = StepFindings(cases_closed=sum(closed for _, _, closed in results))
        last = standing[-1].case_id if standing else None
        return reconciliation_runs.step(tx, run, progress, rechecked_to=last, done=len(standing) < _AT_ONCE)
