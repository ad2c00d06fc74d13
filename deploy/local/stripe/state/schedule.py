"""What Stripe does later by itself: fill a balance transaction, settle a bank debit, expire an authorisation.

A task is a row with a due time on the emulator's clock, written in the transaction that causes it, so a restart forgets
none. A task finds its object as it is when due, and does nothing if the object has moved on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from ..wire.errors import Json
from .clock import Clock
from .store import Store

Task = Callable[[str, str, Json], object]  # account, subject (an object's id), details; what it returns is ignored
_BATCH = 50


@dataclass(slots=True)
class Schedule:
    """Tasks due on the emulator's clock; `tasks` maps a kind to what it does."""

    store: Store
    clock: Clock
    tasks: dict[str, Task] = field(default_factory=dict)

    def add(self, kind: str, after_seconds: float, account: str, subject: str, details: Json | None = None) -> None:
        """Schedule a task in so many seconds of the emulator's clock."""
        self.add_at(kind, self.clock.precise() + after_seconds, account, subject, details)

    def add_at(self, kind: str, due_at: float, account: str, subject: str, details: Json | None = None) -> None:
        """Schedule a task for a moment, in seconds since 1970."""
        self.store.execute(
            "INSERT INTO tasks (due_at, kind, account, subject, details) VALUES (?, ?, ?, ?, ?)",
            (due_at, kind, account, subject, orjson.dumps(details or {})),
        )

    def run_due(self) -> int:
        """Run every due task, in order of due time, a batch a transaction; returns how many ran."""
        ran = 0
        while batch := self._due():
            with self.store.transaction():
                for sequence, kind, account, subject, details in batch:
                    self.store.execute("DELETE FROM tasks WHERE sequence = ?", (sequence,))
                    self.tasks[kind](account, subject, orjson.loads(details))
            ran += len(batch)
        return ran

    def run_early(self, kind: str, account: str, subject: str) -> None:
        """Do now, in the caller's transaction, what a task of this kind would do later; that one then finds it done."""
        self.tasks[kind](account, subject, {})

    def _due(self) -> list[tuple[int, str, str, str, bytes]]:
        return self.store.execute(
            "SELECT sequence, kind, account, subject, details FROM tasks WHERE due_at <= ?"
            " ORDER BY due_at, sequence LIMIT ?",
            (self.clock.precise(), _BATCH),
        ).fetchall()
