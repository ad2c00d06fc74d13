"""The emulator's clock: real time, real time moved forward, or standing still at a chosen moment.

Everything Stripe dates (objects, key lifetime, funds, search lag) reads this clock. Network things (webhook retries,
signature timestamps) read the machine's clock, because the receiver compares them with its own.
"""

import time
from dataclasses import dataclass

from .store import Store


@dataclass(slots=True)
class Clock:
    """Seconds since 1970. `fixed_at` is the moment at which it stands still, None while it runs."""

    store: Store
    offset_seconds: float = 0.0
    fixed_at: float | None = None

    @classmethod
    def load(cls, store: Store) -> "Clock":
        """The clock as it was saved."""
        saved = store.setting("clock") or {}
        return cls(store, saved.get("offset_seconds", 0.0), saved.get("fixed_at"))

    def precise(self) -> float:
        """With fractions of a second."""
        return time.time() + self.offset_seconds if self.fixed_at is None else self.fixed_at

    def now(self) -> int:
        """In whole seconds, as Stripe dates."""
        return int(self.precise())

    def advance(self, seconds: float) -> None:
        """Move forward; whoever calls runs what has fallen due.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        if self.fixed_at is None:
            self.offset_seconds += seconds
        else:
            self.fixed_at += seconds
        self._save()

    def fix(self, at: float) -> None:
        """Stand still at this moment."""
        self.fixed_at = at
        self._save()

    def run_real(self) -> None:
        """Run with the machine's clock again."""
        self.offset_seconds, self.fixed_at = 0.0, None
        self._save()

    def _save(self) -> None:
        self.store.save_setting("clock", {"offset_seconds": self.offset_seconds, "fixed_at": self.fixed_at})

    def describe(self) -> dict[str, object]:
        """As the control API shows it."""
        mode = "real" if self.fixed_at is None else "fixed"
        return {"mode": mode, "now": self.precise(), "offset_seconds": self.offset_seconds}
