"""The ledger: append-only double entry. Debit is positive, credit negative, every journal sums to zero per currency.

The database checks the sum of what each statement adds and refuses UPDATE and DELETE; a correction is a reverse entry.
`source_id` names the one Stripe object a journal books, so that the same fact can never be booked twice (M2).

    charge            Dr stripe_balance amount / Cr venue_payable amount - fee / Cr platform_fees fee
    stripe_fee        Dr stripe_fees fee / Cr stripe_balance fee
    conversion        Dr currency_exchange / Cr stripe_balance, what was charged
                      Dr stripe_balance / Cr currency_exchange, what Stripe made of it in the balance's currency
    refund            Dr venue_payable, platform_fees, refunds_payable / Cr stripe_balance
                      (workers/rules/refund_allocation.py decides who bears it)
    refund_failure    Dr stripe_balance / Cr refunds_payable: the money is back with us, and still owed to the buyer
    dispute           Dr disputed_funds of the venue amount, Dr dispute_fees fee / Cr stripe_balance
    dispute_reversal  the mirror of it, with the fee only when Stripe gives that back too
    dispute_lost      Dr venue_payable, platform_fees, refunds_payable (as a refund) / Cr disputed_funds
    dispute_won       the mirror of that, when a dispute that was lost is won after all
    payout            Dr bank / Cr stripe_balance: one tenant's net in what a payout contained; source is the payout
    payout_failure    the mirror of it, when the payout came back
    distribution      Dr venue_payable / Cr recipient_payable: the shares of others in a sale; source is the payment
    clawback          the other way round, for what a refund or a loss claws back; source is the refund or dispute
    clawback_undone   its mirror, when the dispute was won after all
    transfer          Dr venue_payable or recipient_payable / Cr stripe_balance
    transfer_reversal the mirror of it, for what came back
    application_fee   Dr stripe_balance / Cr venue_payable: what came back of a destination charge's transfer
    application_fee_refund  the mirror of it, for what a refund gave back of the fee
    netting           Dr recipient_payable / Cr recipient_receivable: a share pays what its recipient owes; source ours
    receivable        Dr recipient_receivable / Cr recipient_payable: what could not be clawed back; source ours
    reversal          what puts another journal right; source is that journal
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from db.session import Tx
from messages.ids import PaymentId, RecipientId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: account code, whose account it is when it is a venue's or a recipient's, and a signed amount.

    Debit is positive.
    """

    account: str
    amount: Money
    venue_id: VenueId | None = None
    recipient_id: RecipientId | None = None


class UnbalancedError(ValueError):
    """The entries of a journal do not sum to zero in each currency."""


def charge_entries(amount: Money, platform_fee: Money, venue_id: VenueId) -> list[Entry]:
    """A successful charge: Stripe holds `amount`, the venue is owed its part, the fee is the platform's.

    One
    currency.
    """
    return [
        Entry("stripe_balance", amount),
        Entry("venue_payable", platform_fee - amount, venue_id),
        Entry("platform_fees", -platform_fee),
    ]


def refund_entries(*, obligation: Money, platform: Money, venue: Money, venue_id: VenueId) -> list[Entry]:
    """What went back to the buyer, and whose it was; parts of zero have no line. Positive amounts of one currency."""
    whose = _whose(obligation, platform, venue, venue_id)
    return [*whose, Entry("stripe_balance", -(obligation + platform + venue))]


def _whose(obligation: Money, platform: Money, venue: Money, venue_id: VenueId) -> list[Entry]:
    parts = [
        Entry("refunds_payable", obligation),
        Entry("venue_payable", venue, venue_id),
        Entry("platform_fees", platform),
    ]
    return [part for part in parts if part.amount.minor]


def refund_failure_entries(amount: Money) -> list[Entry]:
    """A refund failed after it was booked: Stripe holds the money again, and the buyer is owed it (M19)."""
    return [Entry("stripe_balance", amount), Entry("refunds_payable", -amount)]


def dispute_entries(moved: Money, fee: Money, venue_id: VenueId) -> list[Entry]:
    """What one balance transaction of a dispute did: `moved` is negative when the bank took it, positive when it gave
    it back.

    `fee` is what Stripe kept, negative when it gave a fee back, in the balance's currency. Parts of zero have no line.
    """
    entries = [
        Entry("disputed_funds", -moved, venue_id),
        Entry("stripe_balance", moved),
        Entry("dispute_fees", fee),
        Entry("stripe_balance", -fee),
    ]
    return [entry for entry in entries if entry.amount.minor]


def dispute_lost_entries(*, obligation: Money, platform: Money, venue: Money, venue_id: VenueId) -> list[Entry]:
    """What the bank keeps, and whose loss it is; its mirror books a dispute that was won after all."""
    whose = _whose(obligation, platform, venue, venue_id)
    return [*whose, Entry("disputed_funds", -(obligation + platform + venue), venue_id)]


def mirror(entries: list[Entry]) -> list[Entry]:
    """The same lines with the opposite sign: the only correction of a ledger that is never changed."""
    return [Entry(entry.account, -entry.amount, entry.venue_id, entry.recipient_id) for entry in entries]


def stripe_fee_entries(fee: Money) -> list[Entry]:
    """What Stripe kept of a charge."""
    return [Entry("stripe_fees", fee), Entry("stripe_balance", -fee)]


def conversion_entries(charged: Money, settled: Money) -> list[Entry]:
    """Stripe put the charge into a balance of another currency; each currency sums to zero by itself."""
    return [
        Entry("currency_exchange", charged),
        Entry("stripe_balance", -charged),
        Entry("stripe_balance", settled),
        Entry("currency_exchange", -settled),
    ]


@dataclass(frozen=True, slots=True)
class Journal:
    """One fact to book. (kind, source_id) is unique for a tenant: a second journal of the same is not posted."""

    kind: str
    source_id: str
    entries: list[Entry]


def post(tx: Tx, payment_id: PaymentId | None, journals: Sequence[Journal]) -> int:
    """Append journals in one statement; returns how many were new, the others being booked already (M2).

    A journal that is there already is not compared: its amounts stay, whatever is given here. `payment_id` None: it
    belongs to no single payment. Needs a tenant transaction.

    Missing accounts are opened on a second try: first look, then INSERT ... DO NOTHING, then look again. So the busy
    account rows are never locked, and two transactions that open the same account both find it.

    Raises:
        UnbalancedError: entries do not sum to zero, and nothing is written (the database would refuse it as well, M4).
    """
    for journal in journals:
        _require_balance(journal.entries)
    lines = Jsonb([line for journal in journals for line in _lines(journal)])
    posted, unopened = _write(tx, payment_id, lines)
    if unopened:
        tx.execute(_OPEN_ACCOUNTS, {"lines": lines})
        posted, unopened = _write(tx, payment_id, lines)
    assert not unopened, "each account was opened by us, or by someone who committed before our second look"
    return posted


def _require_balance(entries: list[Entry]) -> None:
    sums: dict[str, int] = {}
    for entry in entries:
        sums[entry.amount.currency] = sums.get(entry.amount.currency, 0) + entry.amount.minor
    if any(sums.values()) or len(entries) < 2:
        off = {currency: minor for currency, minor in sums.items() if minor}
        raise UnbalancedError(f"a journal needs two entries that sum to zero, not {off or entries}")


def _lines(journal: Journal) -> list[dict[str, Any]]:
    return [
        {
            "kind": journal.kind,
            "source_id": journal.source_id,
            "line": number,
            "code": entry.account,
            "venue_id": str(entry.venue_id) if entry.venue_id else None,
            "recipient_id": str(entry.recipient_id) if entry.recipient_id else None,
            "amount_minor": entry.amount.minor,
            "currency": entry.amount.currency,
        }
        for number, entry in enumerate(journal.entries, 1)
    ]


def _write(tx: Tx, payment_id: PaymentId | None, lines: Jsonb) -> tuple[int, int]:
    """Journals with their entries, all or none; returns how many were new, and how many lines lack their account."""
    row = tx.execute(
        """
        WITH lines AS MATERIALIZED (
            SELECT l.kind, l.source_id, l.line, a.account_id, l.amount_minor, l.currency
            FROM jsonb_to_recordset(%(lines)s) AS l (
                kind text, source_id text, line integer, code text, venue_id uuid, recipient_id uuid,
                amount_minor bigint, currency text)
            LEFT JOIN ledger_accounts a
                ON a.code = l.code AND a.currency = l.currency AND a.venue_id IS NOT DISTINCT FROM l.venue_id
                AND a.recipient_id IS NOT DISTINCT FROM l.recipient_id
        ), journals AS (
            INSERT INTO ledger_journals (tenant_id, kind, source_id, payment_id)
            SELECT current_tenant(), kind, source_id, %(payment_id)s
            FROM lines
            WHERE line = 1 AND NOT EXISTS (SELECT FROM lines WHERE account_id IS NULL)
            ON CONFLICT (tenant_id, kind, source_id) DO NOTHING
            RETURNING journal_id, kind, source_id
        ), entries AS (
            INSERT INTO ledger_entries (tenant_id, journal_id, line, account_id, amount_minor, currency)
            SELECT current_tenant(), journal_id, line, account_id, amount_minor, currency
            FROM lines JOIN journals USING (kind, source_id)
        )
        SELECT
            (SELECT count(*) FROM journals) AS posted,
            (SELECT count(*) FROM lines WHERE account_id IS NULL) AS unopened
        """,
        {"lines": lines, "payment_id": payment_id},
    ).fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    return row[0], row[1]


# In one order, so that two transactions that open the same accounts wait for one another and never deadlock.
_OPEN_ACCOUNTS = """
    INSERT INTO ledger_accounts (tenant_id, code, venue_id, recipient_id, currency)
    SELECT DISTINCT current_tenant(), code, venue_id, recipient_id, currency
    FROM jsonb_to_recordset(%(lines)s) AS line (code text, venue_id uuid, recipient_id uuid, currency text)
    ORDER BY code
    ON CONFLICT DO NOTHING
"""
