"""What the demo shows while it runs: a live view in a terminal, plain lines where there is none."""

import time
from collections import defaultdict
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from db.monitoring.overview import Overview, StateTotal
from messages.money import Money

REFRESH_SECONDS = 0.4
PLAIN_SECONDS = 3.0
_STAGES = {
    "requested": ("taken from the order service", "white"),
    "charging": ("call to Stripe under way, or unanswered", "yellow"),
    "requires_action": ("with the buyer: 3-D Secure", "magenta"),
    "processing": ("with the bank", "magenta"),
    "authorized": ("held on the card, waits for capture", "cyan"),
    "succeeded": ("charged and booked", "green"),
    "failed": ("declined or refused", "red"),
    "canceled": ("given up", "red"),
}


class LiveView:
    """Call `show` as often as you like; it draws only when it is time."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._started = time.monotonic()
        self._drawn_at = 0.0
        self._rate = Rate()
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def is_due(self) -> bool:
        pause = REFRESH_SECONDS if self._live is not None else PLAIN_SECONDS
        return time.monotonic() - self._drawn_at >= pause

    def show(self, phase: str, published: int, received: int, totals: list[StateTotal], glance: Overview) -> None:
        self._drawn_at = time.monotonic()
        settled = sum(total.payments for total in totals if total.state not in {"requested", "charging"})
        rate = self._rate.of(settled)
        if self._live is None:
            self._console.print(_line(self._seconds, phase, published, received, totals, glance, rate))
            return
        head = f"{phase}   {self._seconds:.0f} s   published {published}   received {received}   settled {rate:.0f}/s"
        body = Group(Text(head, style="bold"), Text(), _stages(totals), Text(), _waiting(glance))
        self._live.update(Panel(body, title=self._title, border_style="blue"), refresh=True)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._started


class Rate:
    """Settled payments a second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def of(self, count: int) -> float:
        now = time.monotonic()
        self._seen = [*(entry for entry in self._seen if now - entry[0] < 5), (now, count)]
        (since, first), (until, last) = self._seen[0], self._seen[-1]
        return (last - first) / (until - since) if until > since else 0.0


def _stages(totals: list[StateTotal]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    for heading, justify in (("stage", "left"), ("payments", "right"), ("money", "left"), ("", "left")):
        table.add_column(heading, justify=justify, style=None)  # type: ignore[arg-type]
    by_state: dict[str, list[StateTotal]] = defaultdict(list)
    for total in totals:
        by_state[total.state].append(total)
    for state, (meaning, colour) in _STAGES.items():
        of_state = by_state[state]
        count = sum(total.payments for total in of_state)
        money = "  ".join(str(Money(total.amount_minor, total.currency)) for total in of_state)
        table.add_row(Text(state, style=colour), str(count) if count else "-", money, Text(meaning, style="dim"))
    return table


def _waiting(glance: Overview) -> Text:
    return Text(
        f"order to settled: p50 {glance.p50_seconds * 1000:.0f} ms, p95 {glance.p95_seconds * 1000:.0f} ms   "
        f"outbox: {glance.outbox_due} due, {glance.outbox_waiting} waiting   "
        f"webhooks waiting: {glance.events_waiting}   "
        f"retries: {glance.retries}   dead letters: {glance.open_dead_letters}"
    )


def _line(
    seconds: float, phase: str, published: int, received: int, totals: list[StateTotal], glance: Overview, rate: float
) -> str:
    counts: dict[str, int] = defaultdict(int)
    for total in totals:
        counts[total.state] += total.payments
    states = ", ".join(f"{state} {counts[state]}" for state in _STAGES if counts[state])
    return (
        f"{seconds:5.1f} s  {phase}: published {published}, received {received}, {states}; {rate:.0f}/s, "
        f"p95 {glance.p95_seconds * 1000:.0f} ms, outbox {glance.outbox_due}+{glance.outbox_waiting}, "
        f"retries {glance.retries}, dead letters {glance.open_dead_letters}"
    )
