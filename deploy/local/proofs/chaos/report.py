"""What came of each case, as a table and as JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.local.scenario.recorder import Sums


@dataclass(slots=True)
class Result:
    """One run of one case. Seconds are None when it never came to that."""

    key: str
    title: str
    notes: list[str]
    fault_seconds: float = 0.0
    first_success_seconds: float | None = None
    drain_seconds: float | None = None
    published: int = 0
    sums: Sums = field(default_factory=Sums)
    unmet: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return self.sums.clean and not self.unmet

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "clean": self.clean}


@dataclass(slots=True)
class Outcome:
    """The whole run: what `fleet chaos` prints and what its exit code says."""

    seed: int
    minutes: float
    orders: int
    only: tuple[str, ...]
    results: list[Result] = field(default_factory=list)
    not_reached: list[str] = field(default_factory=list)
    seconds: float = 0.0
    published: int = 0
    charges: int = 0
    refunds: int = 0
    happened: dict[str, int] = field(default_factory=dict)  # beside the sale
    deaths: int = 0
    quiet: bool = False
    sums: Sums = field(default_factory=Sums)
    troubles: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return self.quiet and self.sums.clean and not self.troubles and all(each.clean for each in self.results)

    @property
    def again(self) -> str:
        only = f" --only {','.join(self.only)}" if self.only else ""
        return f"fleet chaos --seed {self.seed} --minutes {self.minutes:g} --orders {self.orders}{only}"

    def as_dict(self) -> dict[str, Any]:
        results = [result.as_dict() for result in self.results]
        return {**asdict(self), "results": results, "clean": self.clean, "again": self.again}


def print_outcome(console: Console, outcome: Outcome) -> None:
    console.print(_table(outcome))
    for result in outcome.results:
        for sentence in [*result.unmet, *result.sums.findings]:
            console.print(f"- case {result.key}: {sentence}", style="red")
    for sentence in [*outcome.troubles, *outcome.sums.findings]:
        console.print(f"- {sentence}", style="red")
    if outcome.not_reached:
        console.print(f"not reached in this time: {', '.join(outcome.not_reached)}", style="yellow")
    console.print(
        f"{len(outcome.results)} cases in {outcome.seconds:.0f} s, {outcome.published} events published, "
        f"{outcome.charges} charges and {outcome.refunds} refunds at Stripe, {outcome.deaths} processes died. "
        f"Again: {outcome.again}"
    )
    console.print(f"beside the sale: {', '.join(f'{times} {what}' for what, times in outcome.happened.items())}")
    verdict = "clean and quiet" if outcome.clean else "NOT CLEAN" if outcome.quiet else "NOT QUIET"
    console.print(Text(verdict, style="green" if outcome.clean else "bold red"))


def _table(outcome: Outcome) -> Table:
    table = Table(title=f"chaos, seed {outcome.seed}: seconds are counted from the moment the fault was healed")
    table.title_justify = "left"
    table.add_column("case", justify="right")
    table.add_column("what", overflow="fold")
    for heading in ("lost", "duplicated", "unexpected", "first success", "drained"):
        table.add_column(heading, justify="right")
    for result in outcome.results:
        sums = result.sums
        counts = (sums.lost, sums.duplicated, sums.unexpected + len(result.unmet))
        times = (_seconds(result.first_success_seconds), _seconds(result.drain_seconds))
        style = None if result.clean else "red"
        table.add_row(result.key, result.title, *[str(count) for count in counts], *times, style=style)
    return table


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
