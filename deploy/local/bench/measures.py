"""ONE table of what is measured, in which unit, and what we want it to be; and the passes as they come in."""

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """At least or at most `value`."""

    kind: Literal[">=", "<="]
    value: float

    def met_by(self, figure: float) -> bool:
        return figure >= self.value if self.kind == ">=" else figure <= self.value

    def __str__(self) -> str:
        return f"{self.kind} {self.value:g}"


def at_least(value: float) -> Goal:
    return Goal(">=", value)


def at_most(value: float) -> Goal:
    return Goal("<=", value)


@dataclass(slots=True)
class Measure:
    name: str
    unit: str
    goal: Goal | None = None
    note: str = ""
    passes: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.passes)

    @property
    def met(self) -> bool | None:
        """None when nothing is demanded of it."""
        return self.goal.met_by(self.median) if self.goal else None

    def as_json(self) -> dict[str, Any]:
        figures = {"median": self.median, "min": min(self.passes), "max": max(self.passes)}
        return asdict(self) | figures | {"goal": str(self.goal) if self.goal else None, "met": self.met}


def _table() -> list[Measure]:
    return [
        Measure("publish only", "messages/s", note="our Publisher, batches of 500, quorum queue, no database"),
        Measure("relay", "rows/s"),
        Measure("naive relay", "rows/s", note="one row, one awaited confirm, one DELETE and commit each"),
        Measure("relay / publish only", "ratio", at_least(0.9)),
        Measure("relay / naive relay", "ratio", at_least(15)),
        Measure("relay CPU, client", "ms/row"),
        Measure("relay CPU, PostgreSQL", "ms/row", note="the server's whole family"),
        Measure("relay CPU, client + PostgreSQL", "ms/row", at_most(0.05)),
        Measure("backlog, smallest: PostgreSQL", "ms/row", note="the relay's own session"),
        Measure("backlog, middle: relay", "rows/s"),
        Measure("backlog, largest: relay", "rows/s"),
        Measure("backlog, middle / smallest: PostgreSQL", "ratio", at_most(1.2)),
        Measure("backlog, largest / smallest: PostgreSQL", "ratio", at_most(1.2)),
        Measure("many delivered / smallest: PostgreSQL", "ratio", at_most(1.2), "after that many rows went through"),
        Measure("old snapshot / smallest: PostgreSQL", "ratio", at_most(10), "vacuum may not clear what went through"),
        Measure("old snapshot: an idle look", "ms", note="PostgreSQL CPU of a round that finds nothing"),
        Measure("bare commit of two rows", "commits/s", note="one CTE statement, autocommit"),
        Measure("intake, one by one", "orders/s"),
        Measure("intake, batches of 100", "orders/s"),
        Measure("intake, one by one / bare commit", "ratio", at_least(0.7)),
        Measure("intake, batches of 100 / bare commit", "ratio", at_least(3)),
        Measure("intake CPU, batches of 100", "ms/order", note="client + PostgreSQL"),
        Measure("Stripe call CPU, 1 thread", "ms", at_most(1.0), "Gateway with the pooled client"),
        Measure("Stripe call CPU, 8 threads", "ms", at_most(1.0)),
        Measure("Stripe call CPU, default client", "ms", note="stripe-python with requests, 1 thread"),
        Measure("payments", "payments/s", note="order event to settled and confirmed by webhook"),
        Measure("payment CPU, all of ours", "ms/payment", at_most(5), "all processes, broker and database"),
        *(Measure(f"payment CPU, {part}", "ms/payment") for part in PARTS),
        Measure("webhook acknowledged p99", "ms", at_most(20), "200/s, open loop, from the time it was due"),
        Measure("webhook applied p99", "ms", at_most(100), "stored to applied, by the database's clock"),
        Measure("enqueue to done p95", "ms", note="committed outbox row to finished handler, 50 a second"),
        Measure("enqueue to done p95, plain Dramatiq", "ms", note="send() with confirm, same broker and handler"),
        Measure("enqueue to done p95 / plain Dramatiq", "ratio", at_most(1.2)),
        Measure(
            "mints, one by one", "mints/s", note="queued row to confirmed token; a block a second, 3 confirmations"
        ),
        Measure("mints, batches of 100", "mints/s", note="the same"),
        Measure("mint CPU, batches of 100", "ms/mint", note="the minter alone"),
        Measure("gas for a ticket, one by one", "gas", note="wallets that owned nothing before"),
        Measure("gas for a ticket, batches of 100", "gas", at_most(50_000)),
    ]


PARTS = ("intake-orders", "intake-http", "relay", "scheduler", "workers", "PostgreSQL", "RabbitMQ", "Stripe emulator")


class Results:
    """Collects the passes; whoever measures names the measure as the table does."""

    def __init__(self) -> None:
        self._measures = {measure.name: measure for measure in _table()}

    def add(self, name: str, figure: float) -> None:
        self._measures[name].passes.append(figure)

    @property
    def taken(self) -> list[Measure]:
        """Those with at least one pass, in the order of the table."""
        return [measure for measure in self._measures.values() if measure.passes]
