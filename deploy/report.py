"""The report of `fleet verify` in a terminal."""

import sys
from collections import Counter, defaultdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from db.shares.verify_balances import Party
from workers.verify.report import Report

_COLUMNS = ("attempted", "done", "waiting", "dead", "lost", "duplicated", "unexpected")
_MUST_BE_ZERO = frozenset({"lost", "duplicated", "unexpected"})
_OF_PARTIES = ("parties", "shares", "shared", "returned", "paid", "payable", "receivable", "unexplained")
MOST_FINDINGS = 20
# Where the name shown differs from the key in the JSON report.
_KIND_LABELS = {
    "poisonous events": "malformed events",
    "refunds and cancellations asked for": "refunds and cancellations requested",
    "messages under way": "messages in progress",
    "payments with buyer or bank": "payments awaiting buyer or bank",
    "groups with their members": "groups awaiting members",
    "shares that wait for something": "shares waiting",
    "payment.succeeded told": "payment.succeeded received",
}


def wide_console() -> Console:
    """Standard output: the terminal's width, or 120 characters in a pipe or a CI log."""
    return Console() if sys.stdout.isatty() else Console(width=120, soft_wrap=True)


def print_report(console: Console, report: Report) -> None:
    """One row per kind, the four totals, and the findings."""
    table = Table(title="verify: orders, database, broker, Stripe and chain", title_justify="left")
    table.add_column("kind")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for kind, count in report.kinds.items():
        table.add_row(_KIND_LABELS.get(kind, kind), *[_cell(column, getattr(count, column)) for column in _COLUMNS])
    console.print(table)
    if report.parties:
        console.print(_parties(report.parties))
    if report.waits:
        console.print("shares waiting for: " + ", ".join(f"{what} {count}" for what, count in report.waits.items()))
    for (tenant, currency), minor in report.unexplained.items():
        console.print(f"unexplained: tenant {tenant}, {minor} {currency} minor units", style="red")
    for finding in report.findings[:MOST_FINDINGS]:
        console.print(f"- {finding}", style="red")
    if len(report.findings) > MOST_FINDINGS:
        console.print(f"... and {len(report.findings) - MOST_FINDINGS} more findings", style="red")
    totals = ", ".join(f"{name} {value}" for name, value in report.totals.items())
    console.print(
        Text(f"{'clean' if report.clean else 'NOT CLEAN'}: {totals}", style="green" if report.clean else "red")
    )
    if not report.clean and not report.quiet:
        console.print(
            "The fleet is busy; in-flight work may be reported. `fleet verify --wait 300` repeats until it is idle."
        )


def _parties(parties: list[Party]) -> Table:
    """Every cent of the shares by kind of party: shared, returned, paid, payable and receivable."""
    sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for party in parties:
        total = sums[party.kind, party.currency]
        total["parties"] += 1
        for column in _OF_PARTIES[1:]:
            total[column] += getattr(party, column if column == "shares" else f"{column}_minor")
    table = Table(title="shares by party, in minor units", title_justify="left")
    for heading in ("party", "currency", *_OF_PARTIES):
        table.add_column(heading, justify="left" if heading in {"party", "currency"} else "right")
    for (kind, currency), total in sorted(sums.items()):
        table.add_row(kind, currency, *[f"{total[column]:,}" for column in _OF_PARTIES])
    return table


def _cell(column: str, value: int) -> Text:
    if not value:
        return Text("0" if column in _MUST_BE_ZERO else "-", style="dim")
    return Text(str(value), style="bold red" if column in _MUST_BE_ZERO else "")
