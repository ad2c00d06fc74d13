"""reconcile: list Stripe's balance transactions -> compare each page with the ledger -> look for what only the ledger
has -> check the open cases again.

Reads only; money is never moved, and each difference is a case (db/reconciliation/cases.py) that closes when Stripe and
the ledger agree again. The one thing it does by itself is to queue a look-up for the payment of a case that has been
open for a while. run_loop.py says why a run that was killed, or a second one, is harmless.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from loguru import logger

from db.reconciliation import balance_transactions as reconciliation_balance_transactions
from db.reconciliation import case_views, cases
from db.reconciliation import runs as reconciliation_runs
from db.reconciliation.balance_transactions import ComparedLine
from db.reconciliation.cases import CaseType, Fixable
from db.reconciliation.runs import Run, StepFindings
from db.session import Database, Tx
from messages.base import Message
from messages.disputes import DisputeLookupRequested
from messages.ids import PaymentId, TenantId
from messages.money import DECIMALS, Money
from messages.payments import PaymentLookupRequested
from messages.reconciliation import ReconcileDue
from messages.refunds import RefundLookupRequested
from messages.statement_lines import BankLine
from outbox.append import append
from outbox.process.metrics import RECONCILED_LINES
from stripe_client import balance_transaction_sources as sources
from stripe_client import balance_transactions
from stripe_client.gateway import Gateway
from workers.reconciliation.run_loop import Comparison, move_to, run_comparison
from workers.rules import bank_differences
from workers.runtime.actor import actor
from workers.runtime.settings import ReconcileSettings

BY = "reconciliation"
# The cases that this actor opens about one line of the bank, and closes.
OURS = (CaseType.MISSING_IN_BOOK, CaseType.MISSING_AT_STRIPE, CaseType.AMOUNT_DIFFERS, CaseType.UNKNOWN_TENANT)
FIXABLE = (CaseType.MISSING_IN_BOOK, CaseType.AMOUNT_DIFFERS)
_SLICE = timedelta(hours=1)
_LOOK_AT_ONCE = 200

Owner = tuple[TenantId, PaymentId | None]


@actor(ReconcileDue)
def reconcile(msg: ReconcileDue, db: Database, stripe: Gateway) -> None:
    """Continue the run of this span, or begin one (run_loop.py): compare, and open and close cases.

    Raises:
        Verdict: Stripe did not answer; the cursor stays at the last page that was compared.
    """
    settings = ReconcileSettings()
    comparison = Comparison(
        pages=partial(_pages, stripe),
        compare=partial(_compare, db, stripe, settings),
        search=partial(_search, db, stripe),
        recheck=partial(_recheck, db),
        finish=partial(_finish, db),
    )
    run_comparison(msg, db, comparison, settings, span=msg.span)


def _pages(stripe: Gateway, run: Run) -> Iterator[list[BankLine]]:
    return balance_transactions.list_lines(
        stripe,
        since_epoch=int(run.window_from.timestamp()),
        before_epoch=int(run.window_until.timestamp()),
        starting_after=run.listed_to,
    )


def _compare(db: Database, stripe: Gateway, settings: ReconcileSettings, run: Run, lines: list[BankLine]) -> Run | None:
    """One page of the bank's lines: kept, compared, and each difference a case."""
    ids = [line.balance_transaction_id for line in lines]
    with db.system_transaction() as tx:
        reconciliation_balance_transactions.store(tx, lines)
        differing = reconciliation_balance_transactions.differing(tx, ids)
    found = [(line, _owner(db, stripe, line)) for line in differing]
    well = sorted(set(ids) - {line.balance_transaction_id for line in differing})
    with db.system_transaction() as tx:
        opened = sum(_open(tx, line, owner, settings) for line, owner in found)
        closed = cases.close_all(tx, types=OURS, subjects=well, by=BY, because="the bank and the book agree")
        progress = StepFindings(len(lines), len(differing), opened, closed)
        moved = reconciliation_runs.step(tx, run, progress, listed_to=ids[-1])
    RECONCILED_LINES.labels("matched").inc(len(well))
    RECONCILED_LINES.labels("differing").inc(len(differing))
    return moved


def _owner(db: Database, stripe: Gateway, line: ComparedLine) -> Owner | None:
    """Whose it is: the book says so, or the open case, or the object at Stripe whose payment or tenant we know."""
    if line.tenant_id is not None:
        return line.tenant_id, line.payment_id
    with db.system_transaction() as tx:
        standing = case_views.find_open(tx, type=CaseType.MISSING_IN_BOOK, subject=line.balance_transaction_id)
    if standing and standing.tenant_id is not None:
        return standing.tenant_id, standing.payment_id
    claim = sources.claim_of(stripe, line.source_id, line.balance_transaction_id)
    with db.system_transaction() as tx:
        return reconciliation_balance_transactions.owner_of(
            tx,
            intent_id=claim.intent_id,
            tenant_id=claim.tenant_id,
            payment_id=claim.payment_id,
            account_id=claim.account_id,
        )


def _open(tx: Tx, line: ComparedLine, owner: Owner | None, settings: ReconcileSettings) -> bool:
    """Open the case that fits the difference now, and close those of other types: one difference has one case."""
    type_ = CaseType(
        bank_differences.verdict(book_minor=line.book_minor, elsewhere=line.elsewhere, has_owner=owner is not None)
    )
    others = [other for other in OURS if other is not type_]
    cases.close_all(tx, types=others, subjects=[line.balance_transaction_id], by=BY, because=f"it is {type_} now")
    return cases.open_case(
        tx,
        type=type_,
        subject=line.balance_transaction_id,
        details=bank_differences.sentence(
            category=line.reporting_category,
            source=line.source_id,
            net_minor=line.net_minor,
            book_minor=line.book_minor,
            currency=line.currency,
            elsewhere=line.elsewhere,
        ),
        tenant_id=owner[0] if owner else None,
        payment_id=owner[1] if owner else None,
        amount=bank_differences.unexplained(
            net_minor=line.net_minor, book_minor=line.book_minor, currency=line.currency
        ),
        auto_fix_after_seconds=settings.reconcile_auto_fix_seconds if owner and owner[1] else None,
    )


def _search(db: Database, stripe: Gateway, run: Run) -> Run | None:
    """One hour of the book's journals: what they book at the bank, the bank has shown, or is asked for one by one."""
    if run.searched_until >= run.window_until:
        return move_to(db, run, "rechecking")
    until = min(run.searched_until + _SLICE, run.window_until)
    with db.system_transaction() as tx:
        unbanked = reconciliation_balance_transactions.without_line(
            tx, since=run.searched_until, until=until, limit=_LOOK_AT_ONCE
        )
    lines = {
        missing_at_stripe: balance_transactions.retrieve(stripe, missing_at_stripe.balance_transaction_id)
        for missing_at_stripe in unbanked
    }
    absent = [
        missing_at_stripe for missing_at_stripe, line in lines.items() if line is None and missing_at_stripe.net_minor
    ]
    with db.system_transaction() as tx:
        reconciliation_balance_transactions.store(tx, [line for line in lines.values() if line is not None])
        opened = sum(
            cases.open_case(
                tx,
                type=CaseType.MISSING_AT_STRIPE,
                subject=missing_at_stripe.balance_transaction_id,
                details=f"the book moved {missing_at_stripe.net_minor} {missing_at_stripe.currency} minor units for "
                "it; Stripe knows no such thing",
                tenant_id=missing_at_stripe.tenant_id,
                payment_id=missing_at_stripe.payment_id,
                amount=Money(-missing_at_stripe.net_minor, missing_at_stripe.currency)
                if missing_at_stripe.currency in DECIMALS
                else None,
            )
            for missing_at_stripe in absent
        )
        return reconciliation_runs.step(
            tx, run, StepFindings(mismatches=len(absent), cases_opened=opened), searched_until=until
        )


def _recheck(db: Database, run: Run) -> Run | None:
    """Some of the open cases, also those of lines outside the window: whoever put one right closes it."""
    with db.system_transaction() as tx:
        standing = case_views.open_after(tx, types=OURS, after=run.rechecked_to, limit=_LOOK_AT_ONCE)
        subjects = [case.subject for case in standing]
        differing = {
            line.balance_transaction_id for line in reconciliation_balance_transactions.differing(tx, subjects)
        }
        at_bank, in_book = (
            reconciliation_balance_transactions.known(tx, subjects),
            reconciliation_balance_transactions.held_by_book(tx, subjects),
        )
        strs = [
            case.subject
            for case in standing
            if case.type == CaseType.MISSING_AT_STRIPE and (case.subject in at_bank or case.subject not in in_book)
        ]
        agreed = [one for one in subjects if one in at_bank and one not in differing]
        others = [type_ for type_ in OURS if type_ is not CaseType.MISSING_AT_STRIPE]
        closed = cases.close_all(tx, types=others, subjects=agreed, by=BY, because="the bank and the book agree")
        closed += cases.close_all(
            tx, types=[CaseType.MISSING_AT_STRIPE], subjects=strs, by=BY, because="the bank and the book agree"
        )
        progress = StepFindings(cases_closed=closed)
        last = standing[-1].case_id if standing else None
        return reconciliation_runs.step(tx, run, progress, rechecked_to=last, done=len(standing) < _LOOK_AT_ONCE)


def _finish(db: Database, run: Run) -> None:
    """Queue a lookup for what stood long enough, and say what was done."""
    with db.system_transaction() as tx:
        fixables = cases.take_fixable(tx, types=FIXABLE, limit=_LOOK_AT_ONCE)
        append(tx, *[_lookup(tx, case) for case in fixables])
    logger.info(
        "reconciled {} balance transactions ({}): {} differ, {} cases opened, {} closed, {} payments re-fetched",
        run.lines,
        run.span,
        run.mismatches,
        run.cases_opened,
        run.cases_closed,
        len(fixables),
    )


def _lookup(tx: Tx, case: Fixable) -> Message:
    """The question that may put a case right: only asks, and books what Stripe answers."""
    source_id, refund_id = reconciliation_balance_transactions.source_of(tx, case.subject, case.payment_id)
    owner = {"tenant_id": case.tenant_id, "payment_id": case.payment_id}
    if refund_id is not None:
        return RefundLookupRequested.model_validate(owner | {"refund_id": refund_id})
    if source_id is not None and source_id.startswith(("dp_", "du_")):
        return DisputeLookupRequested.model_validate(owner | {"dispute_id": source_id})
    return PaymentLookupRequested.model_validate(owner)
