"""The result of `fleet verify`: a count per kind of record, the four totals that must be zero, and the findings as
text.
"""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from db.shares.verify_balances import Party

Balances = dict[tuple[UUID, str], int]
Accounts = dict[tuple[str, str], int]

RESTING_PAYMENTS = "payments with buyer or bank"
RESTING_GROUPS = "groups with their members"
SHARES_IN_ESCROW = "shares in escrow"
SHARES_THAT_WAIT = "shares that wait for something"
# These wait for somebody else: the buyer, the bank, a group's members, the date of the event, or the recipient.
NOT_OURS_TO_MOVE = frozenset({RESTING_PAYMENTS, RESTING_GROUPS, SHARES_IN_ESCROW, SHARES_THAT_WAIT})


@dataclass(slots=True)
class KindCount:
    """The counts of one kind of record; each attempted one is exactly one of done, waiting, dead or lost."""

    attempted: int = 0
    done: int = 0
    waiting: int = 0
    dead: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0


@dataclass(slots=True)
class Report:
    """The result. `findings` describes each lost, duplicated, unexpected or unexplained record in one sentence.

    `waits` counts shares by what they wait for; `unexplained_of_parties` is by recipient (the platform by its tenant).
    """

    kinds: dict[str, KindCount] = field(default_factory=lambda: defaultdict(KindCount))
    unexplained: Balances = field(default_factory=dict)
    unexplained_of_parties: Balances = field(default_factory=lambda: defaultdict(int))
    unexplained_of_accounts: Accounts = field(default_factory=dict)
    parties: list[Party] = field(default_factory=list)
    waits: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def totals(self) -> dict[str, int]:
        """The four totals that must be zero."""
        counts = list(self.kinds.values())
        return {
            "lost": sum(count.lost for count in counts),
            "duplicated": sum(count.duplicated for count in counts),
            "unexpected": sum(count.unexpected for count in counts),
            "unexplained_minor": sum(
                abs(minor)
                for unexplained in (self.unexplained, self.unexplained_of_parties, self.unexplained_of_accounts)
                for minor in unexplained.values()
            ),
        }

    @property
    def clean(self) -> bool:
        """True when nothing is lost, duplicated, unexpected or unexplained; work that waits does not matter."""
        return not any(self.totals.values())

    @property
    def quiet(self) -> bool:
        """True when the fleet has no work left to do."""
        return not any(count.waiting for kind, count in self.kinds.items() if kind not in NOT_OURS_TO_MOVE)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it: totals first, ids as text, amounts in minor units."""
        return {
            **self.totals,
            "kinds": {kind: asdict(count) for kind, count in self.kinds.items()},
            "unexplained": _by_name(self.unexplained),
            "unexplained_of_parties": _by_name(self.unexplained_of_parties),
            "unexplained_of_accounts": _by_name(self.unexplained_of_accounts),
            "waits": dict(self.waits),
            "parties": [
                {key: str(value) if isinstance(value, UUID) else value for key, value in asdict(party).items()}
                for party in self.parties
            ],
            "states": dict(self.states),
            "findings": self.findings,
        }


def _by_name(minors: Balances | Accounts) -> dict[str, int]:
    return {f"{owner}/{currency}": minor for (owner, currency), minor in minors.items()}
