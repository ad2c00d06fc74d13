"""What the checker says: each kind of thing counted once, the four numbers that must be zero, and findings in words."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

# Others have them: nothing of ours is due.
RESTING_GROUPS = "groups with their members"
RESTING_KINDS = frozenset({"payments with buyer or bank", RESTING_GROUPS})

Balances = dict[tuple[UUID, str], int]


@dataclass(slots=True)
class Count:
    """One kind of thing; every attempted one is done, waiting, dead or lost."""

    attempted: int = 0
    done: int = 0
    waiting: int = 0
    dead: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0


@dataclass(slots=True)
class Report:
    """The result. `findings` says in words what each lost, duplicated, unexpected or unexplained thing is."""

    kinds: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    unexplained: Balances = field(default_factory=dict)
    states: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def totals(self) -> dict[str, int]:
        """The four numbers that must be zero."""
        counts = list(self.kinds.values())
        return {
            "lost": sum(count.lost for count in counts),
            "duplicated": sum(count.duplicated for count in counts),
            "unexpected": sum(count.unexpected for count in counts),
            "unexplained_minor": sum(abs(minor) for minor in self.unexplained.values()),
        }

    @property
    def clean(self) -> bool:
        return not any(self.totals.values())

    @property
    def quiet(self) -> bool:
        """Nothing waits for us any more."""
        return not any(count.waiting for kind, count in self.kinds.items() if kind not in RESTING_KINDS)

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.totals,
            "kinds": {kind: asdict(count) for kind, count in self.kinds.items()},
            "unexplained": {f"{tenant}/{currency}": minor for (tenant, currency), minor in self.unexplained.items()},
            "states": dict(self.states),
            "findings": self.findings,
        }
