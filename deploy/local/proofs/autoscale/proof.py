"""`fleet autoscale-proof`: the manifests' scaling policy over real worker processes, under a rush, and then verify.

Phases: the fleet stands with the least number of workers for charges; a rush of orders comes at a Stripe that takes its
time; the autoscaler starts real processes; the rush ends and a trickle goes on; the autoscaler stops them one by one,
by SIGTERM and in mid-work; when all is at rest, `fleet verify` must be clean and each stopped worker have left with 0.

Two things differ from a cluster, and are said in the report: time runs faster for the policy (its minutes are seconds
here), and there are at most `MOST` processes, because the machine has two cores.
"""

import dataclasses
import itertools
import json
import shlex
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from honcho.environ import parse_procfile
from pydantic import SecretStr

from db.session import Database
from db.settings import DatabaseSettings
from db.tenants import tenants
from deploy.local.proofs.demo import sale
from deploy.local.proofs.demo.order_service import OrderService
from deploy.local.stack import processes
from deploy.local.stack.ownership import owner_of
from deploy.local.stack.stack import CLONE, Stack
from deploy.local.stack.supervisor import answers
from deploy.local.stack.up import environment_of, intake_address, lines_for, migrate
from deploy.local.stripe.control import EmulatorControl
from deploy.scaling.policy import SYNC_SECONDS, Autoscaler, read_policies
from messages.runtime.settings import AppEnv
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings
from workers.verify.report import Report
from workers.verify.verify import OrderServiceLog, verify

CHARGES = "workers-charges"
MOST = 4
SLOW_STRIPE: dict[str, Any] = {"min_seconds": 0.6, "max_seconds": 1.2}
RUSH_PER_SECOND, TRICKLE_PER_SECOND = 100.0, 10.0  # the trickle keeps those busy who are asked to stop
ENDLESS = 1_000_000
START_SECONDS, QUIET_SECONDS, STOP_SECONDS = 60.0, 90.0, 60.0
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


def run(directory: Path, seed: int, orders: int, *, speed: float) -> tuple[Proof, Report]:
    """`speed`: how many seconds of the policy pass in one of ours."""
    if owner_of(directory) is None:  # what the last run has left would be found unexpected
        shutil.rmtree(directory, ignore_errors=True)
    with ExitStack() as rooms:
        stack = rooms.enter_context(Stack(directory, outside={}))
        rooms.callback(processes.end_marked, stack.directory)
        return _Play(stack, Proof(seed, speed), rooms).play(orders)


class _Play:
    def __init__(self, stack: Stack, proof: Proof, rooms: ExitStack) -> None:
        self.stack, self.proof = stack, proof
        self.environment = environment_of(stack)
        self.policy = dataclasses.replace(read_policies()[CHARGES], most=MOST)
        self._workers: list[subprocess.Popen[bytes]] = []
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._log = rooms.enter_context((stack.directory / "log" / "proof.log").open("ab"))
        self._rooms = rooms
        self._began = time.monotonic()
        self._settled: list[tuple[float, int]] = []

    def play(self, orders: int) -> tuple[Proof, Report]:
        self._start()
        service = self._rooms.enter_context(
            OrderService(self.environment["RABBITMQ_URL"], self.stack.order_log, None, 1)
        )
        habits = sale.Habits(cards={"pm_card_visa": 1})
        story = sale.publications(orders=ENDLESS, seed=self.proof.seed, run=uuid4().hex, habits=habits)
        autoscaler = Autoscaler(self.policy)
        self._began = time.monotonic()
        for _ in service.publish(itertools.islice(story, orders), rate=RUSH_PER_SECOND):
            self._tick(autoscaler)
        trickle = itertools.takewhile(lambda _: not self._has_shrunk(), story)
        for _ in service.publish(trickle, rate=TRICKLE_PER_SECOND):
            self._tick(autoscaler)
        self._reap()
        report = self._verified()
        self.proof.orders = service.published
        self.proof.workers_at_the_end, self.proof.clean = len(self._workers), report.clean
        return self.proof, report

    def _start(self) -> None:
        assert migrate(self.stack) == 0, "an empty database takes every migration"
        with psycopg.connect(self.environment["MIGRATION_DATABASE_URL"], autocommit=True) as owner:
            tenants.register(owner, sale.tenants())
        self._spawn("python -m deploy.local.stripe", self.stack.emulator_environment())
        self._lines = lines_for(parse_procfile((CLONE / "Procfile").read_text()).processes, {"charges": 1})
        for name, line in self._lines.items():
            if name not in {"charges", "console"}:
                self._spawn(line)
        for _ in range(self.policy.least):
            self._add()
        ready = [
            f"{self.environment['STRIPE_API_BASE']}/_emulator/health",
            f"{intake_address(self.stack)}/health/ready",
        ]
        deadline = time.monotonic() + START_SECONDS
        while not all(map(answers, ready)):
            assert time.monotonic() < deadline, "the fleet did not start; its log says why"
            time.sleep(0.1)
        control = EmulatorControl(
            f"http://127.0.0.1:{self.environment['STRIPE_EMULATOR_CONTROL_PORT']}",
            self.environment["STRIPE_EMULATOR_CONTROL_TOKEN"],
        )
        control.add_fault("latency", method="POST", path="/v1/payment_intents*", probability=1.0, **SLOW_STRIPE)
        self._owner = self._rooms.enter_context(
            psycopg.connect(self.environment["MIGRATION_DATABASE_URL"], autocommit=True)
        )

    def _spawn(self, line: str, more: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
        return processes.spawn(
            shlex.split(line), self.stack.directory, {**self.environment, **(more or {})}, CLONE, self._log.fileno()
        )

    # -------------------------------------------------------------------------------------------- the autoscaler

    def _tick(self, autoscaler: Autoscaler) -> None:
        """Once a sync period of the policy's own, faster clock."""
        now = (time.monotonic() - self._began) * self.proof.speed
        if self._settled and now - self._settled[-1][0] < SYNC_SECONDS:
            return
        signals = self._signals(now)
        wanted = autoscaler.pods(now, len(self._workers), signals)
        while len(self._workers) < wanted:
            self._add()
        while len(self._workers) > wanted:
            self._take_away()
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

    def _add(self) -> None:
        self._workers.append(self._spawn(self._lines["charges"]))
        self.proof.started += 1

    def _take_away(self) -> None:
        """The oldest, which surely has loaded by now; it finishes what it holds while the others go on."""
        worker = self._workers.pop(0)
        row = self._owner.execute("SELECT count(*) FROM payments WHERE state = 'charging'").fetchone()
        worker.send_signal(signal.SIGTERM)
        self._leaving.append(worker)
        self.proof.stopped += 1
        self.proof.stopped_in_mid_work += row != (0,)

    def _has_shrunk(self) -> bool:
        """Back to the least number, or much later than the policy needs for it."""
        slowest = (self.policy.down_window_seconds + 60.0 * (MOST + 1)) / self.proof.speed
        is_late = time.monotonic() - self._began > slowest + QUIET_SECONDS
        return is_late or self.proof.most_workers > len(self._workers) == self.policy.least

    def _reap(self) -> None:
        for worker in self._leaving:
            self.proof.exit_codes.append(worker.wait(STOP_SECONDS))
            left = processes.session_of(worker.pid)
            assert not left, f"a stopped worker left {left} behind"

    # ------------------------------------------------------------------------------------------------- the truth

    def _verified(self) -> Report:
        """The checker's word once everything is at rest, or the last one when that takes too long."""
        environment = self.environment
        db = Database(
            DatabaseSettings(app_env=AppEnv.LOCAL, database_url=SecretStr(environment["DATABASE_URL"])),
            application="proof",
        )
        self._rooms.callback(db.close)
        stripe = Gateway(
            StripeSettings(
                app_env=AppEnv.LOCAL,
                stripe_secret_key=SecretStr(environment["STRIPE_SECRET_KEY"]),
                stripe_api_base=environment["STRIPE_API_BASE"],
            )
        )
        deadline = time.monotonic() + QUIET_SECONDS
        while True:
            report = verify(db, stripe, environment["RABBITMQ_URL"], OrderServiceLog.read(self.stack.order_log))
            if (report.clean and report.quiet) or time.monotonic() > deadline:
                return report
            time.sleep(0.5)
