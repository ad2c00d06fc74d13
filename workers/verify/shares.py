"""Shares: transfers and reversals at Stripe against the database, the state of each share, and whether every cent is
explained for each party and each connected account.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from db.session import Tx
from db.shares import verify as share_verify
from db.shares import verify_balances
from db.shares.verify import BookedTransfer, ShareCounts
from db.shares.verify_balances import Party, Platform
from stripe_client import transfers
from stripe_client.gateway import Gateway
from stripe_client.outcomes import BalanceTransaction, ReversalAnswer, TransferAnswer
from workers.verify.money import IN_HAND_SECONDS
from workers.verify.report import SHARES_IN_ESCROW, SHARES_THAT_WAIT, Accounts, Balances, KindCount, Report

# States that end without a call to Stripe; a transfer that is netted completely is paid without one as well.
_ENDED_UNSENT = frozenset({"canceled", "refused", "short"})


@dataclass(frozen=True, slots=True)
class SharesAtStripe:
    """Every transfer of the platform, and the reversals of those that were reversed at least in part."""

    transfers: list[TransferAnswer]
    reversals: list[ReversalAnswer]

    @classmethod
    def read(cls, stripe: Gateway, *, since_epoch: float) -> "SharesAtStripe":
        """Read both from Stripe.

        Raises:
            Verdict: Stripe did not answer.
        """
        sent = list(transfers.listed(stripe, since_epoch=since_epoch))
        touched = [transfer_answer.stripe_transfer_id for transfer_answer in sent if transfer_answer.reversed.minor]
        return cls(
            sent, [reversal_answer for name in touched for reversal_answer in transfers.reversals_of(stripe, name)]
        )


@dataclass(frozen=True, slots=True)
class BookedShares:
    """Shares as the database has them. `uncut` names payments whose split does not add up, and why (M12).

    reached    (account, currency) -> what the ledger says reached it, in minor units
    accounts   every connected account that a recipient names
    """

    transfers: list[BookedTransfer]
    reversals: list[BookedTransfer]
    shares: list[ShareCounts]
    parties: list[Party]
    platform: list[Platform]
    reached: dict[tuple[str, str], int]
    accounts: set[str]
    uncut: Sequence[tuple[UUID, str]]

    @classmethod
    def read(cls, tx: Tx) -> "BookedShares":
        """Read them in one system transaction, so that shares and ledger are of one moment."""
        return cls(
            share_verify.transfers(tx),
            share_verify.reversals(tx),
            share_verify.shares(tx),
            verify_balances.parties(tx),
            verify_balances.platform_fees(tx),
            verify_balances.accounts_reached(tx),
            verify_balances.accounts_known(tx),
            share_verify.uncut(tx),
        )


def check_shares(report: Report, book: BookedShares, at_stripe: SharesAtStripe) -> None:
    """Checks each transfer and reversal, then the shares, then the totals of each party and each account."""
    sent = [
        _Seen(
            transfer_answer.stripe_transfer_id,
            transfer_answer.transfer_id,
            -transfer_answer.amount.minor,
            transfer_answer.balance,
        )
        for transfer_answer in at_stripe.transfers
    ]
    back = [
        _Seen(
            reversal_answer.stripe_reversal_id,
            reversal_answer.reversal_id,
            reversal_answer.amount.minor,
            reversal_answer.balance,
        )
        for reversal_answer in at_stripe.reversals
    ]
    names = {booked_transfer.stripe_id for booked_transfer in book.transfers}
    own_back = [
        seen
        for seen, answer in zip(back, at_stripe.reversals, strict=True)
        if answer.reversal_id is not None or answer.stripe_transfer_id in names
    ]
    _check_movements(
        report, "transfers", book.transfers, [seen for seen in sent if seen.our_id or seen.stripe_id in names]
    )
    _check_movements(report, "transfer reversals", book.reversals, own_back)
    for counts in book.shares:
        _count_shares(report, counts)
    for payment_id, why in book.uncut:
        report.kinds["shares"].unexpected += 1
        report.findings.append(f"payment {payment_id}: {why}")
    _check_parties(report, book)
    _check_accounts(report, book, at_stripe)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A movement at Stripe; `balance_minor` is its effect on our balance."""

    stripe_id: str
    our_id: UUID | None
    balance_minor: int
    balance: BalanceTransaction | None


def _check_movements(report: Report, kind: str, booked: list[BookedTransfer], at_stripe: list[_Seen]) -> None:
    """Each movement at Stripe matches one row with a journal of the same amount, and each row one movement."""
    count = report.kinds[kind]
    by_stripe_id = {row.stripe_id: row for row in booked if row.stripe_id}
    by_our_id = {row.our_id: row for row in booked}
    made: dict[UUID, int] = defaultdict(int)
    for seen in at_stripe:
        count.attempted += 1
        row = by_stripe_id.get(seen.stripe_id) or (by_our_id.get(seen.our_id) if seen.our_id else None)
        if row is None:
            count.unexpected += 1
            report.findings.append(f"Stripe has {seen.stripe_id}, which is not in the database")
            continue
        made[row.our_id] += 1
        if made[row.our_id] > 1:
            count.duplicated += 1
            report.findings.append(f"{row.our_id} was created again at Stripe as {seen.stripe_id}")
            continue
        _compare(report, count, row, seen)
    for row in booked:
        if not made.get(row.our_id):
            _count_unseen(report, count, row)


def _compare(report: Report, count: KindCount, row: BookedTransfer, seen: _Seen) -> None:
    whole = row.stripe_id == seen.stripe_id and abs(seen.balance_minor) == row.amount_minor
    if whole and row.journal_minor == seen.balance_minor:
        count.done += 1
    elif row.has_dead_letter:
        count.dead += 1
    elif _is_in_hand(row):
        count.waiting += 1
    elif row.stripe_id is None:
        count.lost += 1
        report.findings.append(f"{seen.stripe_id} was created at Stripe, but is {row.state} in the database")
    else:
        count.unexpected += 1
        recorded = f"{row.stripe_id} {row.amount_minor}, journal {row.journal_minor}"
        report.findings.append(f"{seen.stripe_id}: {seen.balance_minor} at Stripe, {recorded} in the database")


def _count_unseen(report: Report, count: KindCount, row: BookedTransfer) -> None:
    """Rows that Stripe does not list: netted completely, ended without a call, not sent yet, or lost."""
    count.attempted += 1
    if row.state in _ENDED_UNSENT or (row.state == "paid" and not row.amount_minor):
        count.done += 1
    elif row.stripe_id is not None:
        count.unexpected += 1
        report.findings.append(f"the database has {row.stripe_id}, which Stripe does not list")
    elif row.has_dead_letter:
        count.dead += 1
    elif _is_in_hand(row):
        count.waiting += 1
    else:
        count.lost += 1
        report.findings.append(f"{row.our_id} to {row.account_id} is stuck as {row.state}: no message is left for it")


def _is_in_hand(row: BookedTransfer) -> bool:
    return row.has_outbox_row or row.seconds_since_move < IN_HAND_SECONDS


def _count_shares(report: Report, counts: ShareCounts) -> None:
    """Settled, held, or waiting for a reason; a share that is stuck without one is lost."""
    kind, word = _kind_and_count(counts)
    count = report.kinds[kind]
    count.attempted += counts.shares
    setattr(count, word, getattr(count, word) + counts.shares)
    if kind == SHARES_THAT_WAIT:
        report.waits[counts.reason or "unknown"] += counts.shares
    if word in {"lost", "unexpected"}:
        report.findings.append(
            f"{counts.shares} shares (e.g. {counts.example}) are stuck as {counts.state}: no message is left for them"
        )


def _kind_and_count(share_counts: ShareCounts) -> tuple[str, str]:
    if share_counts.state == "settled" and not share_counts.gap:
        return "shares", "done"
    if share_counts.state == "held" and not share_counts.released:
        return SHARES_IN_ESCROW, "waiting"
    if share_counts.dead:
        return "shares", "dead"
    if share_counts.reason is not None:
        return SHARES_THAT_WAIT, "waiting"
    if share_counts.in_hand:
        return "shares", "waiting"
    return "shares", "unexpected" if share_counts.state == "settled" else "lost"


def _check_parties(report: Report, book: BookedShares) -> None:
    """For each recipient owed = paid + payable - receivable; platform fees equal those of its sales less refunds."""
    report.parties = book.parties
    for party in book.parties:
        if minor := party.unexplained_minor:
            report.unexplained_of_parties[party.recipient_id, party.currency] += minor
            report.findings.append(
                f"{party.kind} {party.name} ({party.recipient_id}): {minor} {party.currency} minor units of its shares "
                "are neither paid nor payable"
            )
    for platform in book.platform:
        if minor := platform.ledger_minor - platform.explained_minor:
            report.unexplained_of_parties[platform.tenant_id, platform.currency] += minor
            report.findings.append(
                f"tenant {platform.tenant_id}: the platform fees are {platform.ledger_minor} {platform.currency} "
                f"in the ledger, but {platform.explained_minor} according to sales and refunds"
            )


def _check_accounts(report: Report, book: BookedShares, at_stripe: SharesAtStripe) -> None:
    """The amount that reached each account is the same in the ledger and at Stripe, whoever created the transfers."""
    arrived: Accounts = defaultdict(int)
    ours = book.accounts | {row.account_id for row in book.transfers}
    for transfer_answer in at_stripe.transfers:
        if transfer_answer.account_id in ours:
            arrived[transfer_answer.account_id, transfer_answer.amount.currency] += (
                transfer_answer.amount.minor - transfer_answer.reversed.minor
            )
    count = report.kinds["connected accounts"]
    for key in sorted(arrived.keys() | book.reached.keys()):
        count.attempted += 1
        if minor := book.reached.get(key, 0) - arrived.get(key, 0):
            report.unexplained_of_accounts[key] = minor
            report.findings.append(
                f"{key[0]}: the ledger shows {minor} {key[1]} minor units more received than Stripe does"
            )
        else:
            count.done += 1


def balances_of_shares(book: BookedShares, at_stripe: SharesAtStripe) -> Balances:
    """Net amount of the balance transactions of our transfers and reversals, by tenant, in the balance currency."""
    sums: Balances = defaultdict(int)
    for tenant, moved in _moved(book, at_stripe):
        if moved is not None:
            sums[tenant, moved.amount.currency] += moved.amount.minor - moved.fee.minor
    return sums


def _moved(book: BookedShares, at_stripe: SharesAtStripe) -> Iterator[tuple[UUID, BalanceTransaction | None]]:
    tenant_of: dict[str | None, UUID] = {row.stripe_id: row.tenant_id for row in book.transfers}
    owner = {
        transfer_answer.stripe_transfer_id: tenant_of.get(transfer_answer.stripe_transfer_id)
        or transfer_answer.tenant_id
        for transfer_answer in at_stripe.transfers
    }
    for sent in at_stripe.transfers:
        if (tenant := owner[sent.stripe_transfer_id]) is not None:
            yield tenant, sent.balance
    for back in at_stripe.reversals:
        if (tenant := owner[back.stripe_transfer_id]) is not None:
            yield tenant, back.balance
