"""account_lookup: read a connected account at Stripe -> store its status -> re-enqueue the shares that wait for it.

Reads only, and changes nothing at Stripe. The account belongs to the platform and not to a tenant, so the shares of
every tenant whose recipients name it are re-enqueued, page by page. A second delivery stores the same again, and a
share that is enqueued twice is measured twice. Of two answers that cross, the one that was asked for later stands.
"""

from loguru import logger

from db.session import Database
from db.transfers import connected_accounts
from messages.ids import ShareId
from messages.shares import AccountLookupRequested, ShareDue
from outbox.append import append
from stripe_client import accounts as stripe_accounts
from stripe_client.accounts import AccountAnswer
from stripe_client.gateway import Gateway
from workers.runtime.actor import actor

PAGE = 500


@actor(AccountLookupRequested)
def account_lookup(msg: AccountLookupRequested, db: Database, stripe: Gateway) -> None:
    """Read an account at Stripe, and wake the shares that wait for it when it can receive transfers.

    Shares whose transfer Stripe has refused are woken only when the account got better: otherwise it would refuse
    again.
    """
    with db.system_transaction() as tx:
        if not connected_accounts.is_known(tx, msg.account_id):  # an account of the platform that no recipient names
            return
        asked_at = connected_accounts.now(tx)
    answer = stripe_accounts.retrieve(stripe, msg.account_id)
    with db.system_transaction() as tx:
        better = connected_accounts.follow(
            tx,
            msg.account_id,
            transfers=answer.transfers,
            payouts_enabled=answer.payouts_enabled,
            disabled_reason=answer.disabled_reason,
            seen_at=asked_at,
        )
    if answer.transfers == "active":
        _requeue_waiting(db, answer, refused_too=better)
    else:
        logger.warning("account cannot receive transfers: {}", answer.disabled_reason, account_id=answer.account_id)


def _requeue_waiting(db: Database, answer: AccountAnswer, *, refused_too: bool) -> None:
    after: ShareId | None = None
    while True:
        with db.system_transaction() as tx:
            page = connected_accounts.shares_waiting(
                tx, answer.account_id, refused_too=refused_too, after=after, limit=PAGE
            )
            for waiting_account in page:
                append(
                    tx,
                    ShareDue(
                        tenant_id=waiting_account.tenant_id,
                        payment_id=waiting_account.payment_id,
                        share_id=waiting_account.share_id,
                    ),
                )
        if len(page) < PAGE:
            return
        after = page[-1].share_id
