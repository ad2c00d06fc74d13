"""`fleet prove autoscale`: the manifests' scaling policy over real worker processes, under a rush, and then verify.

Phases: the fleet stands with the least number of workers for charges; a rush of orders comes at a Stripe that takes its
time; the autoscaler starts real processes; the rush ends and a trickle goes on; the autoscaler stops them one by one,
by SIGTERM and in mid-work; when all is at rest, `fleet verify` must be clean and each stopped worker have left with 0.

Two things differ from a cluster, and are said in the report: time runs faster for the policy (its minutes are seconds
here), and there are at most `MOST` processes, because the machine has two cores.
"""

import dataclasses
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from honcho.environ import parse_procfile

from deploy.local.scenario import closing
from deploy.local.scenario.faults import PAYMENTS
from deploy.local.scenario.fleet import Fleet
from deploy.local.scenario.kit import open_database, open_gateway
from deploy.local.scenario.order_service import OrderService
from deploy.local.scenario.orders import Habits, publications
from deploy.local.stack import processes
from deploy.local.stack.ownership import owner_of
from deploy.local.stack.stack import CLONE, Stack
from deploy.local.stack.up import lines_for
from deploy.scaling.policy import SYNC_SECONDS, Autoscaler, read_policies
from workers.verify.report import Report
from workers.verify.verify import OrderServiceLog, verify

CHARGES, CLASS = "workers-charges", "charges"
MOST = 4
SLOW_STRIPE: dict[str, Any] = {"probability": 1.0, "min_seconds": 0.6, "max_seconds": 1.2}
RUSH_PER_SECOND, TRICKLE_PER_SECOND = 100.0, 10.0  # the trickle keeps those busy who are asked to stop
ENDLESS = 1_000_000
QUIET_SECONDS, STOP_SECONDS, LOOK_SECONDS = 90.0, 60.0, 0.5
# Waiting or in the hands of a worker, and not in the outbox: what ready + unacked messages are at the broker.
_SIGNALS = """
    SELECT (SELECT count(*) FROM payments WHERE state IN ('requested', 'charging'))
           - (SELECT count(*) FROM outbox WHERE kind = 'charge'),
           (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(state_since)), 0)::float8
              FROM payments WHERE state = 'requested'),
           (SELECT count(*) FROM payments WHERE state NOT IN ('requested', 'charging')),
           (SELECT count(*) FROM outbox)
"""


@dataclass(slots=True)
class Proof:
    seed: int
    speed: float
    orders: int = 0
    most_workers: int = 0
    workers_at_the_end: int = 0
    started: int = 0
    stopped: int = 0
    exit_codes: list[int] = field(default_factory=list)
    stopped_in_mid_work: int = 0
    clean: bool = False
    steps: list[tuple[float, int]] = field(default_factory=list)  # (seconds, workers)

    @property
    def holds(self) -> bool:
        grew = self.most_workers > self.steps[0][1]
        return grew and self.workers_at_the_end < self.most_workers and self.clean and not any(self.exit_codes)


def prove(seed: int, orders: int, *, as_json: bool) -> int:
    """Returns the exit code: 0 when it grew, shrank and nothing was lost or done twice."""
    proof, report = run(CLONE / ".local" / "proof", seed, orders, speed=15.0)
    if as_json:
        print(json.dumps({**dataclasses.asdict(proof), "holds": proof.holds}, indent=1))
    else:
        for at, workers in proof.steps:
            print(f"{at:6.1f} s  {'#' * workers} {workers}")
        print(f"started {proof.started}, stopped {proof.stopped} ({proof.stopped_in_mid_work} in mid-work), "
              f"exit codes {proof.exit_codes}; verify {'clean' if report.clean else 'NOT clean'}")  # fmt: skip
    return 0 if proof.holds else 1


class _ScaledFleet(Fleet):
    """With the product's own patience, and a line for each class of queues; nobody needs the console."""

    settings: Mapping[str, str] = {}

    def __init__(self, stack: Stack) -> None:
        lines = lines_for(parse_procfile((CLONE / "Procfile").read_text()).processes, {CLASS: 1})
        self.least = read_policies()[CHARGES].least
        super().__init__(stack, {CLASS: self.least}, {name: line for name, line in lines.items() if name != "console"})


def run(directory: Path, seed: int, orders: int, *, speed: float) -> tuple[Proof, Report]:
    """`speed`: how many seconds of the policy pass in one of ours."""
    if owner_of(directory) is None:  # what the last run has left would be found unexpected
        shutil.rmtree(directory, ignore_errors=True)
    with _ScaledFleet(Stack(directory, outside={})) as fleet:
        fleet.control().add_fault("latency", **PAYMENTS, **SLOW_STRIPE)
        return _Run(fleet, Proof(seed, speed)).run(orders)


class _Run:
    def __init__(self, fleet: Fleet, proof: Proof) -> None:
        self.fleet, self.stack, self.proof = fleet, fleet.stack, proof
        self.policy = dataclasses.replace(read_policies()[CHARGES], most=MOST)
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._began = time.monotonic()
        self._settled: list[tuple[float, int]] = []

    def run(self, orders: int) -> tuple[Proof, Report]:
        sale = publications(
            orders=ENDLESS, seed=self.proof.seed, run=uuid4().hex, habits=Habits(cards={"pm_card_visa": 1})
        )
        autoscaler = Autoscaler(self.policy)
        with (
            psycopg.connect(self.stack.postgres.migration_url, autocommit=True) as self._owner,
            OrderService(self.stack.rabbitmq.url, self.stack.order_log, None, 1) as service,
        ):
            self.proof.started = self.workers
            self._began = time.monotonic()
            for _ in service.publish(itertools.islice(sale, orders), rate=RUSH_PER_SECOND):
                self._tick(autoscaler)
            trickle = itertools.takewhile(lambda _: not self._has_shrunk(), sale)
            for _ in service.publish(trickle, rate=TRICKLE_PER_SECOND):
                self._tick(autoscaler)
            self._reap()
            report = self._verified()
        self.proof.orders = service.published
        self.proof.workers_at_the_end, self.proof.clean = self.workers, report.clean
        return self.proof, report

    @property
    def workers(self) -> int:
        return sum(name.partition(".")[0] == CLASS for name in self.fleet.names)

    # -------------------------------------------------------------------------------------------- the autoscaler

    def _tick(self, autoscaler: Autoscaler) -> None:
        """Once a sync period of the policy's own, faster clock."""
        now = (time.monotonic() - self._began) * self.proof.speed
        if self._settled and now - self._settled[-1][0] < SYNC_SECONDS:
            return
        signals = self._signals(now)
        wanted = autoscaler.pods(now, self.workers, signals)
        self.proof.started += max(0, wanted - self.workers)
        while self.workers > wanted:
            self._take_away()
        self.fleet.scale(CLASS, wanted)
        self.proof.most_workers = max(self.proof.most_workers, wanted)
        if not self.proof.steps or self.proof.steps[-1][1] != wanted:
            self.proof.steps.append((round(time.monotonic() - self._began, 1), wanted))

    def _signals(self, now: float) -> dict[str, float]:
        row = self._owner.execute(_SIGNALS).fetchone()
        assert row is not None, "a SELECT without FROM always returns a row"
        held, age, settled, _ = row
        self._settled = [*self._settled[-4:], (now, settled)]
        (early, before), (late, after) = self._settled[0], self._settled[-1]
        pace = (after - before) / (late - early) * self.proof.speed if late > early else 0.0
        held = max(0, held)
        return {"held": held, "age": age, "drain": held / pace if pace > 0 else 60.0 * (held > 0)}

    def _take_away(self) -> None:
        """It finishes what it holds while the others go on."""
        row = self._owner.execute("SELECT count(*) FROM payments WHERE state = 'charging'").fetchone()
        self._leaving += self.fleet.scale(CLASS, self.workers - 1)
        self.proof.stopped += 1
        self.proof.stopped_in_mid_work += row != (0,)

    def _has_shrunk(self) -> bool:
        """Back to the least number, or much later than the policy needs for it."""
        slowest = (self.policy.down_window_seconds + 60.0 * (MOST + 1)) / self.proof.speed
        is_late = time.monotonic() - self._began > slowest + QUIET_SECONDS
        return is_late or self.proof.most_workers > self.workers == self.policy.least

    def _reap(self) -> None:
        for worker in self._leaving:
            self.proof.exit_codes.append(worker.wait(STOP_SECONDS))
            left = processes.session_of(worker.pid)
            assert not left, f"a stopped worker left {left} behind"

    # ------------------------------------------------------------------------------------------------- the truth

    def _verified(self) -> Report:
        """The checker's word once everything is at rest, or the last one when that takes too long."""
        environment = self.stack.environment()
        stripe, broker_url = open_gateway(environment), environment["RABBITMQ_URL"]
        with open_database(environment, "proof") as db:
            return closing.until(
                lambda report: report.clean and report.quiet,
                lambda: verify(db, stripe, broker_url, OrderServiceLog.read(self.stack.order_log)),
                lambda: time.sleep(LOOK_SECONDS),
                patience_seconds=QUIET_SECONDS,
            )
