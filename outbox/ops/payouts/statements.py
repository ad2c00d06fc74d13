"""A recipient's statement from the ledger: its lines with their balances, and its CSV; statement_pdf.py lays it out."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from typing import TextIO

from db.payouts.statement_lines import Account, AccountHolder, StatementEntry
from messages.money import DECIMALS

COLUMNS = (
    *("time", "what", "order", "payment", "reference", "currency"),
    *("owed_to_you", "owed_by_you", "balance"),
)
FEE, FEE_BACK = "platform fee", "platform fee returned"
# The ledger's kinds of journals as recipients read them. A kind that is not here keeps its own name.
WORDS = {
    "charge": "sale",
    "refund": "refund",
    "dispute_lost": "dispute lost",
    "dispute_won": "dispute won after all",
    "clawback": "share given back",
    "clawback_undone": "share due again",
    "transfer": "transfer",
    "transfer_reversal": "transfer taken back",
    "application_fee": "kept of a transfer: platform fee and shares of others",
    "application_fee_refund": "given back of what was kept of a transfer",
    "netting": "kept for what you owed",
    "receivable": "could not be taken back, so you owe it",
    "reversal": "correction",
}


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line of a statement, amounts in minor units.

    Attributes:
        what: the kind of line, in the recipient's words.
        owed_minor: what it adds to what the recipient is owed; negative when it takes away.
        owing_minor: what it adds to what the recipient owes.
        balance_minor: what the recipient is owed after it, less what it owes.
    """

    entry: StatementEntry
    what: str
    owed_minor: int
    owing_minor: int
    balance_minor: int


@dataclass(frozen=True, slots=True)
class AccountStatement:
    """A recipient's period, first to last day (UTC), one account for each currency."""

    holder: AccountHolder
    first: date
    last: date
    accounts: Sequence[Account]


def lines(account: Account) -> Iterator[StatementLine]:
    """Every line with the balance after it; a sale and the fee on it are two lines.

    Raises:
        AssertionError: the lines do not lead from the opening balance to the closing one.
    """
    balance = account.opening_owed_minor - account.opening_owing_minor
    for entry in account.entries:
        for what, owed, owing in _parts(entry):
            balance += owed - owing
            yield StatementLine(entry, what, owed, owing, balance)
    closing = account.closing_owed_minor - account.closing_owing_minor
    assert balance == closing, f"a statement that leads to {balance} and not to {closing} is none"


def _parts(entry: StatementEntry) -> Iterator[tuple[str, int, int]]:
    """(what, owed, owing) of a journal: one line, or two where a platform fee was kept of it, which add up to the
    journal.
    """
    if entry.kind == "distribution":
        yield "share of a sale" if entry.owed_minor > 0 else "shares of others", entry.owed_minor, entry.owing_minor
        return
    yield WORDS.get(entry.kind, entry.kind), entry.owed_minor - entry.fee_minor, entry.owing_minor
    if entry.fee_minor:
        yield FEE if entry.fee_minor < 0 else FEE_BACK, entry.fee_minor, 0


def decimal(minor: int, currency: str) -> str:
    """An amount as a spreadsheet reads it: a point, no separators, no currency. Unknown currencies stay in
    minor units.
    """
    places = DECIMALS.get(currency, 0)
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def write_csv(statement: AccountStatement, file: TextIO) -> None:
    """RFC 4180, UTF-8. Each currency begins with its opening balance and ends with its closing one; amounts as
    `decimal`.

    The file must have been opened with newline="".

    Raises:
        AssertionError: the lines of a currency do not add up to its closing balance; the file is then incomplete.
    """
    rows = csv.writer(file)
    rows.writerow(COLUMNS)
    for account in statement.accounts:
        opening, closing = (
            (account.opening_owed_minor, account.opening_owing_minor),
            (
                account.closing_owed_minor,
                account.closing_owing_minor,
            ),
        )
        rows.writerow(_balance_row(f"{statement.first}", "opening balance", account.currency, *opening))
        for line in lines(account):
            rows.writerow(_row(line, account.currency))
        rows.writerow(_balance_row(f"{statement.last}", "closing balance", account.currency, *closing))


def _balance_row(day: str, what: str, currency: str, owed: int, owing: int) -> list[str]:
    amounts = (decimal(minor, currency) for minor in (owed, owing, owed - owing))
    return [day, what, "", "", "", currency, *amounts]


def _row(line: StatementLine, currency: str) -> list[str]:
    entry, amounts = line.entry, (line.owed_minor, line.owing_minor, line.balance_minor)
    return [
        entry.posted_at.astimezone(UTC).isoformat(timespec="seconds"),
        line.what,
        str(entry.order_id or ""),
        str(entry.payment_id or ""),
        entry.source_id,
        currency,
        *(decimal(minor, currency) for minor in amounts),
    ]
