"""statements: find recipients whose week has ended -> write one statement each -> request the transfer that pays it.

Looked at every hour, and made once for each recipient, currency and week, in a transaction of its own under the
recipient's lock; a second run finds it made. Lines are all released shares that only wait for their week. What the
recipient owes is netted. What is below the recipient's minimum waits for the next week. The transfer is not bound to a
charge, so Stripe may refuse it for want of available money: then the next hour measures anew and asks again.
"""

from datetime import datetime

from loguru import logger

from db.payouts import statements as payout_statements
from db.payouts.statements import DueRecipient, ReadyShare
from db.session import Database, Tx
from db.shares import booking as share_booking
from db.shares import shares
from db.transfers import recipients, transfers
from db.transfers.recipients import Recipient
from db.transfers.transfers import NewTransfer
from messages.ids import RecipientId
from messages.money import Money
from messages.runtime.crash_points import crash_point
from messages.shares import StatementsDue, TransferRequested
from outbox.append import append
from workers.runtime.actor import actor
from workers.runtime.settings import StatementSettings

BY = "statements"
PAGE = 100


@actor(StatementsDue)
def statements(_msg: StatementsDue, db: Database) -> None:
    """Write the statements of the week that ended last, recipient by recipient.

    Nothing is asked of Stripe: each statement appends the message of its transfer.
    """
    settings = StatementSettings()
    after: RecipientId | None = None
    while True:
        with db.system_transaction() as tx:
            until = payout_statements.week_end(tx, weekday=settings.statement_weekday, hour=settings.statement_hour)
            page = payout_statements.due(tx, until=until, after=after, limit=PAGE)
        for due_recipient in page:
            _settle_week(db, due_recipient, until)
        if len(page) < PAGE:
            return
        # Of a recipient with several currencies some may be left: the next hour finds them.
        after = page[-1].recipient_id


def _settle_week(db: Database, due_recipient: DueRecipient, until: datetime) -> None:
    """One recipient, currency and week, in a transaction under the recipient's lock; nothing is written below the
    minimum.
    """
    with db.transaction(due_recipient.tenant_id) as tx:
        ready = payout_statements.lock_ready(tx, due_recipient.recipient_id, due_recipient.currency, until=until)
        recipient = recipients.get(tx, due_recipient.recipient_id)
        whole = Money(sum(ready_share.gap.minor for ready_share in ready), due_recipient.currency)
        # The minimum is in the recipient's own currency; what it is worth in another is nobody's to say here.
        least = recipient.minimum_minor if recipient.currency == due_recipient.currency else 0
        if not _may_be_paid(recipient) or whole.minor < max(1, least):
            return
        _write(tx, due_recipient, recipient, ready, whole, until)
        crash_point("statements.before_commit")
    crash_point("statements.after_commit")


def _may_be_paid(recipient: Recipient) -> bool:
    """As it stands now: since it was found due it may have chosen otherwise, or lost its account."""
    return recipient.settlement == "weekly" and recipient.transfers not in {"inactive", "pending"}


def _write(
    tx: Tx, due_recipient: DueRecipient, recipient: Recipient, ready: list[ReadyShare], whole: Money, until: datetime
) -> None:
    assert recipient.account_id is not None, "only recipients with an account are due, and none loses it"
    statement_id, again = payout_statements.id_for(tx, due_recipient.recipient_id, due_recipient.currency, until)
    owed = share_booking.owed_by(tx, due_recipient.recipient_id, due_recipient.currency)
    netted = Money(max(0, min(owed.minor, whole.minor)), due_recipient.currency)
    transfer_id = transfers.request(
        tx,
        NewTransfer(
            recipient_id=due_recipient.recipient_id,
            account_id=recipient.account_id,
            kind="statement",
            payment_id=None,
            charge_id=None,
            transfer_group=f"statement:{statement_id}",
            lines=[(ready_share.share_id, ready_share.gap) for ready_share in ready],
            netted=netted,
        ),
        by=BY,
    )
    payout_statements.write(
        tx, statement_id, due_recipient.recipient_id, until=until, amount=whole, netted=netted, transfer_id=transfer_id
    )
    for ready_share in ready:
        shares.look(tx, ready_share.share_id, waits_for=None)
    append(tx, TransferRequested(tenant_id=due_recipient.tenant_id, transfer_id=transfer_id))
    logger.info(
        "settled statement of {} for {} ({} shares, {} netted){}",
        *(recipient.name, whole, len(ready), netted, ", requested again" if again else ""),
    )
