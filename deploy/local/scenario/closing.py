"""How a proof ends: the scheduler's work is brought forward again and again, until the checker and the books agree."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from deploy.local.scenario import books, recorder, rest
from deploy.local.scenario.books import Books
from deploy.local.scenario.kit import Kit
from deploy.local.scenario.order_service import OrderService
from deploy.local.scenario.recorder import Sums
from deploy.report import print_report
from messages.base import Message
from outbox.append import append
from workers.verify.report import Report

LOOK_AGAIN_SECONDS = 8.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Closing:
    """The checker, the books, Stripe's own recorder, and how many messages wait for what takes a day."""

    report: Report
    books: Books
    recorded: Sums
    due_later: int

    @property
    def is_at_rest(self) -> bool:
        return self.report.clean and self.recorded.clean and not rest.unfinished(self.report, self.due_later)

    @property
    def in_words(self) -> str:
        """What keeps it from an end, for the line after each look."""
        waiting = rest.in_words(rest.unfinished(self.report, self.due_later)) or "nothing"
        differing = len(self.recorded.findings)
        return f"verify {self.report.totals}, waiting: {waiting}, {differing} differences from Stripe's recorder"

    def show(self, kit: Kit) -> None:
        books.show(kit.console, self.books)
        print_report(kit.console, self.report)
        self.show_recorded(kit)
        if self.due_later:
            kit.console.print(f"{self.due_later} calls wait for the proof that Stripe never acted, which takes a day")

    def show_recorded(self, kit: Kit) -> None:
        recorded = self.recorded
        kit.console.print(f"by Stripe's own recorder: {recorded.charges:,} charges, {recorded.refunds:,} refunds")
        for finding in recorded.findings:
            kit.console.print(f"- {finding}", style="red")


def look(kit: Kit) -> Closing:
    return Closing(kit.verify(), books.look(kit.db), recorder.look(kit.control, kit.owner), rest.due_later(kit.db))


def until(
    holds: Callable[[T], bool], look: Callable[[], T], bring_forward: Callable[[], object], *, patience_seconds: float
) -> T:
    """Bring work forward and look, until it holds or the patience is over; returns the last look."""
    deadline = time.monotonic() + patience_seconds
    while True:
        bring_forward()
        seen = look()
        if holds(seen) or time.monotonic() > deadline:
            return seen


def bring_forward(
    kit: Kit, service: OrderService, due: Callable[[datetime], list[Message]], *, patience_seconds: float
) -> int:
    """What the scheduler would ask for in its hours is due now; returns what buyers asked for until all was quiet."""
    with kit.db.system_transaction() as tx:
        append(tx, *due(datetime.now(UTC)))
    time.sleep(LOOK_AGAIN_SECONDS)
    return wait_until_quiet(kit, service, patience_seconds=patience_seconds)


def wait_until_quiet(kit: Kit, service: OrderService, *, patience_seconds: float) -> int:
    """Until nothing moves; what buyers ask for meanwhile is published. Returns how much that was."""
    asked = 0

    def moving() -> dict[str, int]:
        nonlocal asked
        requests = service.publish_requests()
        asked += requests
        return {"requests of buyers": requests} | rest.moving(kit.db)

    rest.wait_until_quiet(moving, kit.console, patience_seconds=patience_seconds)
    return asked
