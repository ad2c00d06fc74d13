"""Whether the books close: every line of the bank's statement has its journal, the trial balance is zero, and what is
still open is a case that is true.
"""

from dataclasses import dataclass

from psycopg.rows import class_row
from rich.console import Console
from rich.table import Table

from db.ledger import reports as ledger_reports
from db.ledger.reports import AccountTotal
from db.reconciliation import case_views
from db.reconciliation.cases import Case, CaseType
from db.session import Database, Tx

# Cases that tell the truth of the day: a buyer is owed money, a bank waits for evidence, a hold ends, a recipient has
# no account or owes much. Nothing to find.
TRUE_CASES = frozenset(
    {
        *(CaseType.REFUND_FAILED, CaseType.DISPUTE_EVIDENCE_DUE, CaseType.AUTHORIZATION_EXPIRING),
        *(CaseType.SHARE_STUCK, CaseType.RECEIVABLE_OVER_LIMIT, CaseType.ESCROW_NEAR_LIMIT),
    }
)


@dataclass(frozen=True, slots=True)
class Statement:
    """The bank's lines by reporting category, and how many of them the ledger explains to the cent."""

    category: str
    lines: int
    explained: int
    net_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Books:
    statement: list[Statement]
    totals: list[AccountTotal]
    cases: list[Case]

    @property
    def untrue(self) -> list[Case]:
        return [case for case in self.cases if case.type not in TRUE_CASES]

    @property
    def unexplained(self) -> int:
        return sum(row.lines - row.explained for row in self.statement)

    @property
    def closed(self) -> bool:
        return not (self.untrue or self.unexplained or ledger_reports.off_balance(self.totals)) and bool(self.statement)


def look(db: Database) -> Books:
    with db.system_transaction() as tx:
        return Books(_statement(tx), ledger_reports.trial_balance(tx), case_views.find(tx, limit=10_000))


def _statement(tx: Tx) -> list[Statement]:
    with tx.cursor(row_factory=class_row(Statement)) as cursor:
        return cursor.execute(
            """
            SELECT l.reporting_category AS category, l.currency, count(*) AS lines,
                   sum(l.net_minor)::bigint AS net_minor,
                   count(*) FILTER (WHERE b.net_minor = l.net_minor) AS explained
            FROM bank_lines l
            LEFT JOIN (
                SELECT balance_transaction_id, currency, sum(net_minor)::bigint AS net_minor
                FROM book_lines GROUP BY balance_transaction_id, currency
            ) b USING (balance_transaction_id, currency)
            GROUP BY l.reporting_category, l.currency ORDER BY 1, 3
            """
        ).fetchall()


def show(console: Console, books: Books) -> None:
    statement = Table("the bank's statement", "currency", "lines", "explained", "net", title="reconciliation")
    for row in books.statement:
        numbers = (f"{row.lines:,}", f"{row.explained:,}", f"{row.net_minor:,}")
        statement.add_row(row.category, row.currency, *numbers)
    console.print(statement)
    trial = Table("currency", "account", "debit", "credit", "balance", title="trial balance, in minor units")
    for total in books.totals:
        numbers = (f"{total.debit_minor:,}", f"{total.credit_minor:,}", f"{total.balance_minor:,}")
        trial.add_row(total.currency, total.code, *numbers)
    console.print(trial)
    off = ledger_reports.off_balance(books.totals)
    console.print(f"off balance: {off or 'nothing'}")
    for case in books.cases:
        word = "true" if case.type in TRUE_CASES else "UNTRUE"
        console.print(f"  case {case.type} ({word}): {case.details}")
