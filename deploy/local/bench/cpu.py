"""CPU time of other processes, in seconds, as exactly as the kernel tells it.

A process family's time is that of its living members plus what the ended ones left with their parent. The kernel's
scheduler counts nanoseconds per thread; where it does not, and for threads that ended, ticks of 10 ms must do.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from deploy.local.stack.processes import GONE, family_of

Clock = Callable[[], float]


def own_seconds() -> float:
    return time.process_time()


def family_seconds(pid: int) -> float:
    """All CPU time that a process and everything it started has used so far."""
    return sum(_with_the_dead(member) for member in family_of(pid))


def process_seconds(pid: int) -> float:
    """One process with a single thread, such as a session of PostgreSQL."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)


def _with_the_dead(member: psutil.Process) -> float:
    try:
        times = member.cpu_times()
        living = process_seconds(member.pid) if member.num_threads() == 1 else times.user + times.system
        return float(living + times.children_user + times.children_system)
    except GONE:
        return 0.0


class Meter:
    """Reads several clocks before and after a piece of work."""

    def __init__(self, **clocks: Clock) -> None:
        self._clocks: Mapping[str, Clock] = clocks
        self.cpu: dict[str, float] = {}
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        before = {name: clock() for name, clock in self._clocks.items()}
        started = time.perf_counter()
        yield
        self.seconds = time.perf_counter() - started
        self.cpu = {name: clock() - before[name] for name, clock in self._clocks.items()}
