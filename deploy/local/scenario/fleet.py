"""A fleet of a proof: every line of the Procfile as a real process, behind wires, started again when it dies.

It is the stack of `fleet up` in a directory of its own, so that the two never meet; only the addresses lead through
wires, and patience is shorter (`IMPATIENT`): what takes minutes in production would take hours here. A process is
started again by the same policy as in `fleet up`; where that policy gives up, `given_up` says so.
"""

import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

import psutil
import psycopg
from honcho.environ import parse_procfile

from db.tenants import tenants
from deploy.local.scenario import orders
from deploy.local.scenario.wire import Wire, wire
from deploy.local.stack import processes
from deploy.local.stack.program import Program
from deploy.local.stack.restarts import describe
from deploy.local.stack.stack import CLONE, Stack
from deploy.local.stack.supervisor import answers
from deploy.local.stack.up import environment_of, migrate
from deploy.local.stripe.control import EmulatorControl
from messages.runtime import crash_points
from stripe_client.settings import ENDPOINT_PER_SECOND, SANDBOX_PER_SECOND

STRIPE_READ_TIMEOUT_SECONDS = 3
HEARTBEAT_SECONDS = 5  # what is half open is noticed after two of them
IMPATIENT = {
    # On a machine that many share a queue is soon older than a few seconds; all of it would be woken again and again.
    "SWEEP_AFTER_SECONDS": "15",
    "STRIPE_READ_TIMEOUT_SECONDS": str(STRIPE_READ_TIMEOUT_SECONDS),
    "STRIPE_EMULATOR_WEBHOOK_RETRY_SECONDS": "0.5,1,2" + ",3" * 60,
    "STRIPE_EMULATOR_SEED": "1",
    # What the event sweep brings is brought within seconds (chaos asks for it), and reaches back only that far.
    "EVENT_SWEEP_SETTLE_SECONDS": "1",
    "EVENT_SWEEP_OVERLAP_SECONDS": "20",
    "RECONCILE_GRACE_SECONDS": "5",  # else a young fleet has nothing to compare
    # Money comes and goes at once: pending refunds arrive or fail, payouts have something to pay out.
    "STRIPE_EMULATOR_REFUND_SECONDS": "3",
    "STRIPE_EMULATOR_FUNDS_DELAY_SECONDS": "1",
    "STRIPE_EMULATOR_PAYOUT_RECONCILIATION_SECONDS": "1",
    # Payouts empty the balance at any moment.
    "EVENT_CANCELLATION_DESPITE_BALANCE": "true",
    "STRIPE_REQUESTS_PER_SECOND": str(SANDBOX_PER_SECOND),
    "STRIPE_ENDPOINT_REQUESTS_PER_SECOND": str(ENDPOINT_PER_SECOND),
}
COUNTS = {"relay": 2}  # one may stand still while the other works on
EMULATOR = "stripe-emulator"
START_SECONDS = 90.0
LOOK_SECONDS = 0.05


class Fleet:
    """Programs by name (`relay.1`, `workers`, ...); leaving it ends every process it started.

    `counts`: processes of a Procfile line, 1 when it is not named; `lines`: instead of the Procfile's.
    """

    settings: Mapping[str, str] = IMPATIENT

    def __init__(
        self, stack: Stack, counts: Mapping[str, int] = COUNTS, lines: Mapping[str, str] | None = None
    ) -> None:
        self.stack = stack
        self._counts = counts
        self._lines = lines or parse_procfile((CLONE / "Procfile").read_text()).processes
        self.given_up: list[str] = []
        self.deaths = 0  # of processes that ended unasked
        self._scaled = max([0, *counts.values()])  # the last number that a process of a line has
        self._crashes = stack.directory / "crash"
        self._programs: dict[str, Program] = {}
        self._held: set[str] = set()
        self._paused: list[psutil.Process] = []
        self._lock = threading.RLock()
        self._leaving = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._rooms = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            starting.enter_context(self.stack)
            starting.callback(processes.end_marked, self.stack.directory)
            self._start(starting)
            self._rooms = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._keeper.join()
        self._rooms.close()

    def _start(self, rooms: ExitStack) -> None:
        self._crashes.mkdir()
        self.postgres_wire = self._wire(rooms, "postgres", self.stack.postgres.port)
        self.rabbitmq_wire = self._wire(rooms, "rabbitmq", self.stack.rabbitmq.port)
        self.relay_wire = self._wire(rooms, "relay", self.stack.rabbitmq.port)
        assert migrate(self.stack) == 0, "an empty database takes every migration"
        with psycopg.connect(self.stack.postgres.migration_url, autocommit=True) as owner:
            tenants.register(owner, orders.tenants())
        self._add(EMULATOR, "python -m deploy.local.stripe")
        for name, line in self._lines.items():
            count = self._counts.get(name, 1)
            for number in range(count):
                self._add(name if count == 1 else f"{name}.{number + 1}", line)
        self._keeper.start()
        self._wait_until_ready()

    def _wire(self, rooms: ExitStack, name: str, server_port: int) -> Wire:
        return rooms.enter_context(wire(server_port, self.stack.memory.port(f"wire_{name}")))

    def _wait_until_ready(self) -> None:
        addresses = [f"{self.environment('')['STRIPE_API_BASE']}/_emulator/health", f"{self.intake}/health/ready"]
        deadline = time.monotonic() + START_SECONDS
        while not all(map(answers, addresses)):
            if time.monotonic() > deadline or self.given_up:
                raise TimeoutError(f"the fleet did not start; its logs lie in {self.stack.directory / 'log'}")
            time.sleep(LOOK_SECONDS)

    @property
    def names(self) -> list[str]:
        """Of our own processes, without the emulator."""
        return [name for name in self._programs if name != EMULATOR]

    @property
    def intake(self) -> str:
        return f"http://127.0.0.1:{self.stack.environment()['INTAKE_HTTP_PORT']}"

    def control(self) -> EmulatorControl:
        return self.stack.emulator_control()

    def kill(self, name: str) -> None:
        """SIGKILL to the process and all its children at once."""
        processes.kill(self.members(name))

    def kill_child(self, name: str, which: int) -> None:
        """SIGKILL to one of its children alone."""
        children = self.members(name)[1:]
        processes.kill([children[which % len(children)]] if children else [])

    def members(self, name: str) -> list[psutil.Process]:
        """The process and its children, the leader first."""
        process = self._programs[name].process
        return processes.family_of(process.pid) if process is not None else []

    def stop(self, name: str, grace_seconds: float) -> bool:
        """SIGTERM, and SIGKILL after the grace; it stays down until `start`. True when the grace was enough."""
        with self._lock:
            self._held.add(name)
        process = self._programs[name].process
        if process is None or process.poll() is not None:
            return True
        process.terminate()
        try:
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self.kill(name)
            process.wait()
            return False
        return True

    def start(self, name: str) -> None:
        with self._lock:
            self._held.discard(name)

    def scale(self, line: str, count: int) -> list["subprocess.Popen[bytes]"]:
        """So many processes of a line that are called `line.N`. Of those that are too many the oldest ones, which have
        loaded for sure, are asked to stop (SIGTERM) and belong to the caller from now on.
        """
        with self._lock:
            names = [name for name in self._programs if name.partition(".")[0] == line]
            leaving = [self._programs.pop(name) for name in names[: max(0, len(names) - count)]]
            for _ in range(count - len(names)):
                self._scaled += 1
                self._add(f"{line}.{self._scaled}", self._lines[line])
        for program in leaving:
            program.ask_to_stop()
        return [program.process for program in leaving if program.process is not None]

    @contextmanager
    def paused(self, members: list[psutil.Process]) -> Iterator[None]:
        """SIGSTOP, and SIGCONT on leaving: as a machine that stood still."""
        self._paused = members
        self._signal_paused(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal_paused(signal.SIGCONT)
            self._paused = []

    def _signal_paused(self, which: signal.Signals) -> None:
        for member in self._paused:
            with suppress(*processes.GONE):
                member.send_signal(which)

    def arm(self, point: str, times: int = 1) -> None:
        """The next `times` processes that come to this point die there."""
        for number in range(times):
            (self._crashes / f"{point}.{number}").touch()

    def armed(self) -> list[str]:
        return sorted(token.name for token in self._crashes.iterdir())

    def heal(self) -> None:
        """End every fault of ours that may still be there; what is whole already is left alone."""
        for token in self._crashes.iterdir():
            token.unlink(missing_ok=True)
        for each in (self.postgres_wire, self.rabbitmq_wire, self.relay_wire):
            each.mend()
        for server in self.stack.servers:
            server.start()
        with self._lock:
            self._held.clear()

    def environment(self, name: str) -> dict[str, str]:
        """As a process of that name gets it."""
        own = environment_of(self.stack)
        if name == EMULATOR:
            return {**own, **self.stack.emulator_environment(), **self.settings}
        broker = self.relay_wire if name.startswith("relay") else self.rabbitmq_wire
        return {
            **own,
            **self.settings,
            "DATABASE_URL": _over(own["DATABASE_URL"], self.stack.postgres.port, self.postgres_wire),
            "RABBITMQ_URL": _over(own["RABBITMQ_URL"], self.stack.rabbitmq.port, broker)
            + f"?heartbeat={HEARTBEAT_SECONDS}",
            crash_points.VARIABLE: str(self._crashes),
        }

    def _add(self, name: str, line: str) -> None:
        log = self.stack.directory / "log" / f"{name}.log"

        def launch() -> "subprocess.Popen[bytes]":
            with log.open("ab") as output:
                return processes.spawn(
                    shlex.split(line), self.stack.directory, self.environment(name), CLONE, output.fileno()
                )

        self._programs[name] = Program(name, launch)

    def _keep(self) -> None:
        """The supervisor: starts what shall run, clears away what ended, and brings it back after its pause."""
        while not self._leaving.wait(LOOK_SECONDS):
            with self._lock:
                for name, program in self._programs.items():
                    self._look_after(name, program)

    def _look_after(self, name: str, program: Program) -> None:
        if program.exit_code is not None:
            self._ended(program, program.exit_code)
        due = program.process is None or (program.next_start_at is not None and _is_past(program.next_start_at))
        if due and name not in self._held:
            program.start()

    def _ended(self, program: Program, exit_code: int) -> None:
        program.end_rest()
        delay = program.policy.delay_seconds(exit_code, program.lived_seconds)
        if program.name in self._held:
            program.next_start_at = time.monotonic()
            return
        self.deaths += 1
        if delay is None:
            self.given_up.append(
                f"{program.name} cannot stay up ({describe(exit_code)}); `fleet up` would have given up"
            )
            delay = 0.0
        program.next_start_at = time.monotonic() + delay


def _is_past(moment: float) -> bool:
    return time.monotonic() >= moment


def _over(address: str, port: int, wire: Wire) -> str:
    return address.replace(f"@127.0.0.1:{port}", f"@127.0.0.1:{wire.port}")
