"""Starting and ending processes so that none is ever left behind.

Each child leads its own session and carries a mark in its environment that says whose it is. So whatever a child has
started in turn (Dramatiq's workers, Erlang's helpers) can be found and ended with it, also by somebody else, when the
process that started it was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

MARK = "FLEET_STACK"
KILL_SECONDS = 5.0  # SIGKILL waits for nothing but a disk that hangs
GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


def spawn(
    command: Sequence[str | Path],
    mark: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    output: IO[bytes] | int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start `command` in its own session, marked as belonging to the directory `mark`."""
    return subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, **(environment or {}), MARK: str(mark)},
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes], signals: signal.Signals, patience_seconds: float) -> None:
    """Ask the leader to end, wait, then kill whatever is left of its family."""
    family = family_of(process.pid)
    if process.poll() is None:
        process.send_signal(signals)
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    kill(family)


def family_of(pid: int) -> list[psutil.Process]:
    """The process and all it has started, taken before it ends: afterwards its children have another parent."""
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except GONE:
        return []


def session_of(leader: int) -> list[psutil.Process]:
    """Every process in the session that `leader` led, also when the leader is gone."""
    return [process for process in psutil.process_iter() if _session(process) == leader]


def marked(mark: Path) -> list[psutil.Process]:
    """Every process that was started for this directory and still runs, but not the one that asks."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _carries(process, mark)]


def end_marked(mark: Path, patience_seconds: float = 10.0) -> int:
    """End what a stack that was itself killed has left: first a word to each leader, then the axe. Returns how many."""
    left = marked(mark)
    families = {member for process in left for member in family_of(process.pid)}
    for process in left:
        if _session(process) == process.pid:
            _send(process, signal.SIGTERM)
    wait_until_gone(families, patience_seconds)
    kill([*families, *marked(mark)])
    return len(left)


def kill(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL, and wait until the kernel has taken them; psutil never hits a process that only reuses the number."""
    victims = list(processes)
    for process in victims:
        _send(process, signal.SIGKILL)
    wait_until_gone(victims, KILL_SECONDS)


def wait_until_gone(members: Iterable[psutil.Process], patience_seconds: float) -> None:
    """A zombie counts as gone: in a container whose first process reaps nobody, it stays for ever."""
    waiting = list(members)
    deadline = time.monotonic() + patience_seconds
    while (waiting := [member for member in waiting if _runs(member)]) and time.monotonic() < deadline:
        time.sleep(0.02)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except GONE:
        return False


def _carries(process: psutil.Process, mark: Path) -> bool:
    try:
        return bool(process.environ().get(MARK) == str(mark))
    except (*GONE, OSError):
        return False


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _send(process: psutil.Process, signals: signal.Signals) -> None:
    try:
        process.send_signal(signals)
    except GONE:
        return
