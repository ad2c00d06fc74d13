"""What a case is, and the registry of them (catalogue.py imports every module of cases).

A case is a generator: up to its `yield` it injects its fault and heals it (also when it fails half way), after it,
on the quiet fleet, it looks at what must have come true. The checker's questions are asked for every case by run.py.
The numbers are those of the fault catalogue the project was built against; deploy/docs/chaos.md lists them.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from deploy.local.proofs.chaos.load import Load
from deploy.local.proofs.chaos.truth import AWAY, Truth
from deploy.local.scenario.back_office import Request
from deploy.local.scenario.fleet import Fleet
from deploy.local.stripe.control import EmulatorControl

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 120.0  # until a fault has struck, on two cores that many share


class UnmetError(Exception):
    """The fault did not strike, or what must come true did not; the sentence says which."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a case may touch. `chance` belongs to this case, this round and this seed alone."""

    fleet: Fleet
    control: EmulatorControl
    truth: Truth
    load: Load
    chance: Random
    notes: list[str] = field(default_factory=list)

    def until(self, holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Return as soon as it holds; a server that is away just now counts as no.

        Raises:
            UnmetError: it did not, in all that time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(*AWAY):
                if holds():
                    return
            time.sleep(POLL_SECONDS)
        raise UnmetError(f"after {seconds:.0f} s still not: {what}")

    def after_orders(self, count: int) -> None:
        """Let the sale go on by so many events: the pace of every fault."""
        goal = self.load.published + count
        self.until(lambda: self.load.published >= goal, f"{count} more events of the sale are published")

    def require(self, holds: object, otherwise: str) -> None:
        if not holds:
            raise UnmetError(otherwise)

    def note(self, text: str) -> None:
        """What of the fault was chosen by the seed, for the report."""
        self.notes.append(text)

    def insist(self, verb: str, payment: dict[str, Any]) -> None:
        """Have the back office ask for it at the API until there is an answer."""
        path, key = f"/payments/{payment['payment_id']}/{verb}", f"insist-{verb}-{payment['payment_id']}"
        request = Request(payment["tenant_id"], path, {}, key)
        self.until(lambda: self.load.office.ask(request) is not None, f"an answer to {path}")

    def at_stripe(self, *rules: tuple[str, dict[str, Any]], firings: int) -> None:
        """Faults at Stripe until they have struck so often altogether; then they end."""
        try:
            added = {self.control.add_fault(effect, **details) for effect, details in rules}

            def fired() -> int:
                return sum(rule["fired"] for rule in self.control.faults() if rule["id"] in added)

            self.until(lambda: fired() >= firings, f"{', '.join(rule[0] for rule in rules)}: {firings} firings")
        finally:
            self.control.clear_faults()


Steps = Callable[[Scene], Iterator[None]]  # a generator


@dataclass(frozen=True, slots=True)
class Case:
    """`short`: also in the short form. `buries`: dead letters of workers are part of it."""

    key: str
    title: str
    steps: Steps
    short: bool
    buries: bool

    @property
    def number(self) -> int:
        return int(self.key.rstrip("abcdefgh"))


CASES: dict[str, Case] = {}


def case(key: str, title: str, *, short: bool = False, buries: bool = False) -> Callable[[Steps], Steps]:
    def register(steps: Steps) -> Steps:
        assert key not in CASES, f"two cases are called {key}"
        CASES[key] = Case(key, title, steps, short, buries)
        return steps

    return register
