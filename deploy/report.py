"""How the checker's report looks in a terminal."""

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


def wide_console() -> Console:
    """The terminal as it is; a pipe or a CI log gets lines of 120 characters."""
    return Console() if sys.stdout.isatty() else Console(width=120, soft_wrap=True)


def print_report(console: Console, report: Report) -> None:
    """One row a kind, the four totals, and in words what is wrong."""
    table = Table(title="verify: what was asked for, the book, the broker, Stripe and the chain", title_justify="left")
    table.add_column("kind")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for kind, count in report.kinds.items():
        table.add_row(kind, *[_cell(column, getattr(count, column)) for column in _COLUMNS])
    console.print(table)
    if report.parties:
        console.print(_parties(report.parties))
    if report.waits:
        console.print("shares wait for: " + ", ".join(f"{what} {count}" for what, count in report.waits.items()))
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
            "Work is under way, and what is named may be on its way: `fleet verify --wait 300` looks until it rests."
        )


def _parties(parties: list[Party]) -> Table:
    """Every cent of the shares, by kind of party: what each got, what of it came back, and where the rest is."""
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
