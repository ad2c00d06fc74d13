"""connected_payouts: find the accounts that are due -> list an account's payouts -> their contents -> its balance.

Reads only: these payouts move money that is the recipients' already. Without an account the message only says that it
is time, and one message for each account that is due follows. A second delivery stores the same again; contents are
stored page by page, and a page twice is once.
"""

from datetime import UTC, datetime, timedelta

from loguru import logger

from db.payouts import account_payouts
from db.session import Database
from db.transfers import connected_accounts
from messages.reconciliation import ConnectedPayoutsDue
from messages.runtime.crash_points import crash_point
from outbox.append import append
from stripe_client import connected_account as connected
from stripe_client.gateway import Gateway
from workers.runtime.actor import actor

# A payout that was paid can still come back within about five business days (docs.stripe.com/payouts).
LOOK_BACK = timedelta(days=14)
# Events come at once; the periodic look finds what no event reported.
LOOK_EVERY_SECONDS = 3_600.0
ACCOUNTS_AT_ONCE = 200
PAYOUTS_AT_ONCE = 50


@actor(ConnectedPayoutsDue)
def connected_payouts(msg: ConnectedPayoutsDue, db: Database, stripe: Gateway) -> None:
    """Without an account, one message for each that is due; with one, store its payouts, their contents and its
    balance.

    An account that no recipient names any more is left out.
    """
    if msg.account_id is None:
        _ask_for_each(db, msg)
        return
    with db.system_transaction() as tx:
        if not connected_accounts.is_known(tx, msg.account_id):
            return
    _note(db, stripe, msg.account_id)
    with db.system_transaction() as tx:
        unlisted = account_payouts.unlisted(tx, msg.account_id, limit=PAYOUTS_AT_ONCE)
    for payout_id in unlisted:
        _list_contents(db, stripe, msg.account_id, payout_id)
    balance = connected.read_balance(stripe, msg.account_id)
    with db.system_transaction() as tx:
        account_payouts.keep_balance(tx, msg.account_id, balance.available, balance.pending)


def _ask_for_each(db: Database, msg: ConnectedPayoutsDue) -> None:
    with db.system_transaction() as tx:
        accounts = account_payouts.accounts_due(tx, not_since_seconds=LOOK_EVERY_SECONDS, limit=ACCOUNTS_AT_ONCE)
        append(tx, *[ConnectedPayoutsDue(due_at=msg.due_at, account_id=account_id) for account_id in accounts])


def _note(db: Database, stripe: Gateway, account_id: str) -> None:
    since = int((datetime.now(UTC) - LOOK_BACK).timestamp())
    for page in connected.list_payouts(stripe, account_id, since_epoch=since):
        with db.system_transaction() as tx:
            came_back = account_payouts.note(tx, account_id, page)
        for payout_id in came_back:
            logger.error(
                "payout failed: the recipient's bank account must be corrected",
                payout_id=payout_id,
                account_id=account_id,
            )


def _list_contents(db: Database, stripe: Gateway, account_id: str, payout_id: str) -> None:
    """Store a payout's contents page by page, and mark it as listed only after the last: one killed half way
    begins anew.
    """
    for lines in connected.list_contents(stripe, account_id, payout_id):
        with db.system_transaction() as tx:
            account_payouts.contain(tx, payout_id, lines)
        crash_point("connected_payouts.page_kept")
    with db.system_transaction() as tx:
        account_payouts.mark_listed(tx, payout_id)
