"""payouts: list them -> list the contents of each -> book each tenant's part -> reverse what came back.

A payout is one movement for the whole account; its contents say whose money it was. Each tenant gets one journal for
its net in it. What belongs to no tenant is a case, and nothing of that payout is booked until the rest is explained, or
a person has accepted the case: a journal cannot be posted a second time with another amount. Every step is marked when
it is done, so a second run goes on where the first stood, and a journal is posted once.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta

from loguru import logger

from db.ledger.journals import Entry, Journal
from db.payouts import payouts
from db.payouts.payouts import Payout
from db.reconciliation import balance_transactions as reconciliation_balance_transactions
from db.reconciliation import cases
from db.reconciliation.cases import CaseType
from db.session import Database
from db.tenants import tenants
from messages.ids import TenantId
from messages.money import DECIMALS, Money
from messages.reconciliation import PayoutsDue
from messages.runtime.crash_points import crash_point
from stripe_client import balance_transactions
from stripe_client import payouts as stripe_payouts
from stripe_client.gateway import Gateway
from workers.ledger.booking import Booking, book
from workers.runtime.actor import actor

BY = "payouts"
# A payout that was paid can still come back within about five business days (docs.stripe.com/payouts).
LOOK_BACK = timedelta(days=14)
# Lines whose owners are looked up in one statement.
LINES_AT_ONCE = 2_000


@actor(PayoutsDue)
def reconcile_payouts(msg: PayoutsDue, db: Database, stripe: Gateway) -> None:
    """Bring every unfinished payout as far as it can go: listed, booked, reversed. With a payout id, that one alone.

    Raises:
        Verdict: Stripe did not answer; what was marked stays, and the retry continues.
    """
    _note(msg, db, stripe)
    with db.system_transaction() as tx:
        due = payouts.unfinished(tx, payout_id=msg.payout_id)
    for payout in due:
        if payout.automatic:
            _follow(db, stripe, payout)
        else:
            _watch_one_made_by_hand(db, payout)


def _note(msg: PayoutsDue, db: Database, stripe: Gateway) -> None:
    if msg.payout_id is not None:
        found = [[stripe_payouts.retrieve(stripe, msg.payout_id)]]
    else:
        with db.system_transaction() as tx:
            began = tenants.began_at(tx)
        if began is None:
            return
        since = max(datetime.now(UTC) - LOOK_BACK, began)
        found = list(stripe_payouts.list_payouts(stripe, since_epoch=int(since.timestamp())))  # a handful a day
    for page in found:
        with db.system_transaction() as tx:
            payouts.note(tx, page)


def _follow(db: Database, stripe: Gateway, payout: Payout) -> None:
    """One automatic payout. It is booked even when it has failed: the reversal is the mirror of what was booked."""
    if not payout.contents_ready:
        return
    if payout.listed_at is None:
        _list_contents(db, stripe, payout)
    if payout.booked_at is None and not _book(db, payout):
        return
    if payout.came_back:
        _reverse(db, payout)


def _list_contents(db: Database, stripe: Gateway, payout: Payout) -> None:
    for lines in balance_transactions.list_contents(stripe, payout.payout_id, starting_after=payout.listed_to):
        with db.system_transaction() as tx:
            reconciliation_balance_transactions.store(tx, lines)
            payouts.contain(tx, payout.payout_id, [line.balance_transaction_id for line in lines])
        crash_point("payouts.page_marked")
    with db.system_transaction() as tx:
        payouts.mark_listed(tx, payout.payout_id)


def _book(db: Database, payout: Payout) -> bool:
    """Post one journal for each tenant; False while something of the payout is not explained."""
    shares, neutral = _shares(db, payout)
    rest = payout.amount_minor - sum(shares.values()) - neutral
    if rest and not _is_accepted(db, payout, rest):
        return False
    for tenant_id, minor in shares.items():
        _post(db, tenant_id, "payout", payout, Money(minor, payout.currency))
        crash_point("payouts.tenant_booked")
    with db.system_transaction() as tx:
        if not rest:
            because = "everything in it has its owner"
            cases.close_case(tx, type=CaseType.PAYOUT_UNEXPLAINED, subject=payout.payout_id, by=BY, because=because)
        payouts.mark_booked(tx, payout.payout_id)
    logger.info("payout booked for {} tenants", len(shares), payout_id=payout.payout_id)
    return True


def _shares(db: Database, payout: Payout) -> tuple[Counter[TenantId], int]:
    """Each tenant's net in the payout, and the sum of what explains itself."""
    shares: Counter[TenantId] = Counter()
    neutral, after = 0, ""
    while True:
        with db.system_transaction() as tx:
            payout_parts, last = payouts.parts(tx, payout, after=after, limit=LINES_AT_ONCE)
        if last is None:
            return shares, neutral
        for part in payout_parts:
            if part.tenant_id is not None:
                shares[part.tenant_id] += part.net_minor
            elif part.explained:
                neutral += part.net_minor
        after = last


def _is_accepted(db: Database, payout: Payout, rest_minor: int) -> bool:
    """Open the case of what is not explained; True when a person has accepted it as it is."""
    rest = Money(rest_minor, payout.currency) if payout.currency in DECIMALS else None
    with db.system_transaction() as tx:
        cases.open_case(
            tx,
            type=CaseType.PAYOUT_UNEXPLAINED,
            subject=payout.payout_id,
            details=f"{rest or rest_minor} of the payout belong to no tenant of ours",
            amount=rest,
        )
        return cases.is_accepted(tx, type=CaseType.PAYOUT_UNEXPLAINED, subject=payout.payout_id, amount=rest)


def _post(db: Database, tenant_id: TenantId, kind: str, payout: Payout, amount: Money) -> None:
    """Dr bank / Cr stripe_balance; the mirror when it came back."""
    if not amount.minor:
        return
    with db.transaction(tenant_id) as tx:
        entries = [Entry("bank", amount), Entry("stripe_balance", -amount)]
        book(tx, None, Booking([Journal(kind, payout.payout_id, entries)]))


def _reverse(db: Database, payout: Payout) -> None:
    """Post the mirror of each tenant's part as it was booked, not as it would be computed today."""
    with db.system_transaction() as tx:
        booked = payouts.booked_parts(tx, payout.payout_id)
    for tenant_id, minor in booked:
        _post(db, tenant_id, "payout_failure", payout, Money(-minor, payout.currency))
    with db.system_transaction() as tx:
        payouts.mark_reversed(tx, payout.payout_id)
    logger.error("payout {}", payout.status, payout_id=payout.payout_id)


def _watch_one_made_by_hand(db: Database, payout: Payout) -> None:
    """Nobody says what it contained; the next automatic payout shows it in its list, and is the smaller for it."""
    with db.system_transaction() as tx:
        if payout.came_back or payouts.contained_in(tx, payout) is not None:
            because = f"it is {payout.status}" if payout.came_back else "an automatic payout contains it"
            cases.close_case(tx, type=CaseType.PAYOUT_UNEXPLAINED, subject=payout.payout_id, by=BY, because=because)
            payouts.mark_explained(tx, payout.payout_id)
            return
        cases.open_case(
            tx,
            type=CaseType.PAYOUT_UNEXPLAINED,
            subject=payout.payout_id,
            details="it was made by hand, so Stripe does not tell whose money it took",
            amount=Money(payout.amount_minor, payout.currency) if payout.currency in DECIMALS else None,
            suggested_action="ask who made it; the next automatic payout that contains it explains it",
        )
