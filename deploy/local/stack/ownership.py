"""One owner for each stack directory, and a guard that cleans up behind an owner that was killed.

The owner holds a file lock, and shares it with a small guard process that waits for the owner's end. However the owner
ends, also by kill -9, the guard then ends every process the stack has started; only after that is the lock free, so the
next start never meets leftovers halfway.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import psutil

from deploy.local.stack import processes

SOURCE = Path(__file__).resolve().parents[3]
GUARD_SECONDS = 30.0  # a guard needs at most some 15: 10 for a good end, 5 for the axe


class AlreadyRunningError(Exception):
    """Another living process has this stack."""


class Ownership:
    """Held from `take` until `release`, or during a `with` block."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock: TextIO | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def take(self) -> None:
        """Become the owner, after ending what an owner before us has left."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = lock_file(self.directory).open("a+")
        self._wait_for_lock(self._lock)
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        processes.end_marked(self.directory)
        self._start_guard(self._lock)

    def release(self) -> None:
        """The guard sees its pipe close, looks once more for anything left, and goes; so does the lock."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()
        if self._lock is not None:
            self._lock.close()
        self._guard = self._lock = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _wait_for_lock(self, lock: TextIO) -> None:
        deadline = time.monotonic() + GUARD_SECONDS
        while not _try_lock(lock):
            owner = owner_of(self.directory)
            if owner is not None or time.monotonic() > deadline:
                lock.close()
                self._lock = None
                raise AlreadyRunningError(
                    f"the stack in {self.directory} is already running (process {owner or 'unknown'})"
                )
            time.sleep(0.05)

    def _start_guard(self, lock: TextIO) -> None:
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.stack.ownership", str(self.directory)],
            cwd=SOURCE,
            stdin=subprocess.PIPE,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )


def owner_of(directory: Path) -> int | None:
    """The living process that has this stack, if any."""
    path = lock_file(directory)
    if not path.exists():
        return None
    with path.open("r") as lock:
        if _try_lock(lock):  # nobody holds it; closing gives it back
            return None
        written = lock.read().strip()
    return int(written) if written and psutil.pid_exists(int(written)) and not _is_zombie(int(written)) else None


def lock_file(directory: Path) -> Path:
    return directory / "owner.lock"


def _try_lock(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def guard(directory: Path) -> None:
    """The guard's whole life: wait until the owner's end of the pipe closes, then sweep."""
    sys.stdin.buffer.read()
    processes.end_marked(directory)


if __name__ == "__main__":
    guard(Path(sys.argv[1]))
