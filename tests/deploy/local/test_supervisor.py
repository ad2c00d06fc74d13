"""The supervisor, in a process of its own, over small programs made for the purpose."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.stack import processes
from deploy.local.stack.restarts import QUICK_SECONDS, RestartPolicy

SUPERVISE = """
import subprocess, sys
from pathlib import Path
from deploy.local.stack import processes
from deploy.local.stack.program import Program
from deploy.local.stack.restarts import RestartPolicy
from deploy.local.stack.supervisor import Supervisor
mark = Path(sys.argv[1])
def program(name, code):
    command, quick = [sys.executable, "-u", "-c", code], RestartPolicy(first_delay_seconds=0.02)
    return Program(name, lambda: processes.spawn(command, mark, output=subprocess.PIPE), policy=quick)
names_and_codes = [argument.split("=", 1) for argument in sys.argv[2:]]
show = lambda name, line: print(f"{name}: {line}", flush=True)
sys.exit(Supervisor([program(*pair) for pair in names_and_codes], show).run(lambda: print("ready", flush=True)))
"""
STAYS = "import os, time; print('pid', os.getpid()); time.sleep(600)"
HAS_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-u', '-c', {STAYS!r}])"
FAILS = "import sys; sys.exit('no such thing')"
IS_MISCONFIGURED = "import sys; print('APP_ENV is not set'); sys.exit(78)"
IGNORES_AND_TALKS = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (print('x' * 500_000), sys.exit(0))); "
    "print('pid 0'); time.sleep(600)"
)


class Supervised:
    """A running supervisor and the lines it has printed so far."""

    def __init__(self, directory: Path, *programs: str) -> None:
        command = [sys.executable, "-c", SUPERVISE, str(directory), *programs]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def wait_for(self, condition: Callable[[list[str]], bool], seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition(self.lines):
            assert time.monotonic() < deadline, "".join(self.lines)
            time.sleep(0.02)

    def pids(self, name: str) -> list[int]:
        return [int(line.split()[-1]) for line in self.lines if line.startswith(f"{name}: pid")]

    def end(self) -> int:
        exit_code = self.process.wait(20)
        self._reader.join(5)
        return exit_code


Start = Callable[..., Supervised]


@pytest.fixture
def supervise(directory: Path) -> Iterator[Start]:
    started: list[Supervised] = []

    def start(*programs: str) -> Supervised:
        started.append(Supervised(directory, *programs))
        return started[-1]

    yield start
    for supervised in started:
        supervised.process.kill()
        supervised.process.wait()


def test_a_killed_program_is_started_again_and_told_about(supervise: Start) -> None:
    fleet = supervise(f"relay={STAYS}")
    fleet.wait_for(lambda _: len(fleet.pids("relay")) == 1)
    os.kill(fleet.pids("relay")[0], signal.SIGKILL)
    fleet.wait_for(lambda _: len(fleet.pids("relay")) == 2)
    assert any("relay ended (killed by SIGKILL)" in line for line in fleet.lines)
    fleet.process.terminate()
    assert fleet.end() == 0


def test_the_children_of_a_killed_program_do_not_outlive_it(supervise: Start) -> None:
    fleet = supervise(f"workers={HAS_A_CHILD}")
    fleet.wait_for(lambda _: len(fleet.pids("workers")) == 1)
    child = psutil.Process(fleet.pids("workers")[0])
    child.parent().kill()
    fleet.wait_for(lambda _: len(fleet.pids("workers")) == 2)
    processes.wait_until_gone([child], 5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    fleet.process.terminate()
    assert fleet.end() == 0


@pytest.mark.parametrize("request_to_stop", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_ends_all_in_reverse_order(supervise: Start, request_to_stop: signal.Signals) -> None:
    fleet = supervise(f"first={STAYS}", f"second={HAS_A_CHILD}")
    fleet.wait_for(lambda _: bool(fleet.pids("first") and fleet.pids("second")))
    fleet.process.send_signal(request_to_stop)
    assert fleet.end() == 0
    stopped = [line.strip() for line in fleet.lines if line.endswith("stopped\n")]
    assert stopped == ["fleet: second stopped", "fleet: first stopped"]


def test_a_program_that_never_stays_up_ends_the_fleet_and_says_why(supervise: Start) -> None:
    fleet = supervise(f"first={STAYS}", f"broken={FAILS}")
    assert fleet.end() == 1
    said = "".join(fleet.lines)
    assert "broken cannot stay up (exit code 1)" in said
    assert "fleet:     no such thing" in said


def test_a_wrong_setting_ends_the_fleet_at_once(supervise: Start) -> None:
    fleet = supervise(f"broken={IS_MISCONFIGURED}")
    assert fleet.end() == 78
    assert "fleet:     APP_ENV is not set\n" in fleet.lines


def test_a_program_that_talks_much_while_stopping_is_heard_to_the_end(supervise: Start) -> None:
    fleet = supervise(f"talks={IGNORES_AND_TALKS}")
    fleet.wait_for(lambda _: bool(fleet.pids("talks")))
    fleet.process.terminate()
    assert fleet.end() == 0
    assert any(len(line) > 500_000 for line in fleet.lines)


def test_quick_failures_are_counted_and_the_pause_grows() -> None:
    policy = RestartPolicy()
    assert [policy.delay_seconds(1, 0.1) for _ in range(5)] == [0.5, 1.0, 2.0, 4.0, None]


def test_a_long_life_makes_the_count_start_anew() -> None:
    policy = RestartPolicy(quick_failures=4)
    assert policy.delay_seconds(1, QUICK_SECONDS) == 0.5


def test_a_kill_from_outside_is_not_a_failure_of_the_program() -> None:
    policy = RestartPolicy(quick_failures=4)
    assert [policy.delay_seconds(-signal.SIGKILL, 0.1) for _ in range(20)] == [0.5] * 20
