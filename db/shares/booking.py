"""What shares do to the ledger: entries of the journals that db/ledger/journals.py names, by the kinds given there.

A venue's own share stays on venue_payable, where the charge put it; every other recipient has recipient_payable. These
functions build entries and post nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from db.ledger.journals import Entry
from db.session import Tx
from messages.ids import RecipientId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose money it is. `venue_id` is None unless the recipient is a venue, whose payable account is another one."""

    recipient_id: RecipientId
    venue_id: VenueId | None


def payable(owner: Owner, amount: Money) -> Entry:
    """The line of what an owner is owed: positive pays it off, negative owes more."""
    if owner.venue_id is not None:
        return Entry("venue_payable", amount, owner.venue_id)
    return Entry("recipient_payable", amount, recipient_id=owner.recipient_id)


def receivable(owner: Owner, amount: Money) -> Entry:
    """The line of what an owner owes us: positive owes more."""
    return Entry("recipient_receivable", amount, recipient_id=owner.recipient_id)


def distribution_entries(parts: Iterable[tuple[Owner, Money]], venue_id: VenueId) -> list[Entry]:
    """Move each part from the venue of the sale to its owner; the venue's own part stays. Empty when nothing moves.

    The parts are of one currency; a part of zero makes no line.
    """
    others = [(owner, part) for owner, part in parts if owner.venue_id != venue_id and part.minor]
    if not others:
        return []
    moved = sum(part.minor for _, part in others)
    currency = others[0][1].currency
    return [
        Entry("venue_payable", Money(moved, currency), venue_id),
        *(payable(owner, -part) for owner, part in others),
    ]


def transfer_entries(owner: Owner, sent: Money) -> list[Entry]:
    """`sent` left Stripe's balance of the platform for the owner's account, and is owed no more."""
    return [payable(owner, sent), Entry("stripe_balance", -sent)]


def application_fee_entries(owner: Owner, kept: Money) -> list[Entry]:
    """`kept` of a destination charge came back from the owner's account: the platform's fee, and others' royalties."""
    return [Entry("stripe_balance", kept), payable(owner, -kept)]


def netting_entries(owner: Owner, kept: Money) -> list[Entry]:
    """`kept` of what the owner is owed pays what the owner owes."""
    return [payable(owner, kept), receivable(owner, -kept)]


def receivable_entries(owner: Owner, missing: Money) -> list[Entry]:
    """`missing` was to come back and could not: the owner owes it to us now."""
    return [receivable(owner, missing), payable(owner, -missing)]


def owed_by(tx: Tx, recipient_id: RecipientId, currency: str) -> Money:
    """What a recipient owes us in a currency: the balance of its receivable, less what transfers under way will net of
    it.

    Lock the recipient first (shares.lock): netting is requested under that lock and only up to this, so it is never
    negative. Zero when the recipient has no such account.
    """
    row = tx.execute(
        """
        SELECT coalesce(sum(e.amount_minor), 0)::bigint - (
            SELECT coalesce(sum(t.netted_minor), 0)::bigint FROM transfers t
            WHERE t.recipient_id = %(recipient_id)s AND t.currency = %(currency)s
              AND t.state IN ('requested', 'sending'))
        FROM ledger_accounts a JOIN ledger_entries e USING (tenant_id, account_id)
        WHERE a.code = 'recipient_receivable' AND a.recipient_id = %(recipient_id)s AND a.currency = %(currency)s
        """,
        {"recipient_id": recipient_id, "currency": currency},
    ).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return Money(row[0], currency)
