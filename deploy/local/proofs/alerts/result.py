"""What a run of the proof has shown."""

from collections import Counter
from dataclasses import dataclass, field

from deploy.local.proofs.alerts.impatience import alerts
from deploy.local.proofs.alerts.receiver import Notification

SILENCED = "silenced by "


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fired: for which reason, what it said, and who got it; `sent_to` is empty when nobody did."""

    by: str
    said: str
    sent_to: str
    moved_time: bool


@dataclass
class Result:
    """`missing`: alert -> what should have provoked it. `early`: those that fired while all was well, and what they
    said. `messages`: how many came to each receiver. `refused`: those that it would not have taken.
    """

    fired: dict[str, Fired] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    early: dict[str, str] = field(default_factory=dict)
    refused: list[Notification] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)
    load: float = 0.0
    seconds: float = 0.0

    def note(self, alert: str, fired: Fired) -> None:
        """An alert of two reasons is shown with the one that was delivered to a person."""
        known = self.fired.get(alert)
        if known is None or not known.sent_to or (known.sent_to.startswith(SILENCED) and fired.sent_to):
            self.fired[alert] = fired

    @property
    def is_well(self) -> bool:
        """What was tried fired and was delivered, and nothing fired without a reason."""
        delivered = all(fired.sent_to for fired in self.fired.values())
        return not self.missing and not self.early and not self.refused and delivered

    @property
    def is_whole(self) -> bool:
        return self.is_well and set(self.fired) >= set(alerts())

    def figures(self) -> str:
        silenced = sum(fired.sent_to.startswith(SILENCED) for fired in self.fired.values())
        sent = sum(bool(fired.sent_to) for fired in self.fired.values()) - silenced
        came = ", ".join(f"{count} to {who}" for who, count in sorted(self.messages.items())) or "none"
        return (
            f"{len(self.fired)} of {len(alerts())} alerts fired, {sent} were sent to a receiver and "
            f"{silenced} silenced by another; messages with a summary and a link: {came}; "
            f"{len(self.refused)} would have been refused. {len(self.early)} fired without a reason. "
            f"{self.seconds:.0f} s, load {self.load:.1f}."
        )
