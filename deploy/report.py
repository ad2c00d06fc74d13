"""How the checker's report looks in a terminal."""

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from workers.verify_report import Report

_COLUMNS = ("attempted", "done", "waiting", "dead", "lost", "duplicated", "unexpected")
_MUST_BE_ZERO = frozenset({"lost", "duplicated", "unexpected"})
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


def _cell(column: str, value: int) -> Text:
    if not value:
        return Text("0" if column in _MUST_BE_ZERO else "-", style="dim")
    return Text(str(value), style="bold red" if column in _MUST_BE_ZERO else "")
