"""The Procfile's lines as processes: started, stopped, killed, made to stand still, and watched over.

A process that ends by itself (a crash point, a kill) is started again at once, as its supervisor would. However the
tests end, also by SIGKILL, a guard ends every process that was started here (deploy/local/stack/ownership.py).
"""

import contextlib
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from honcho.environ import parse_procfile

from deploy.local.stack import processes
from deploy.local.stack.ownership import Ownership
from deploy.local.stack.stack import CLONE
from messages.runtime.settings import EX_CONFIG

PROCFILE = parse_procfile((CLONE / "Procfile").read_text()).processes
STOP_SECONDS = 60.0
LOOK_SECONDS = 0.03


class Processes:
    """Started processes by name; `relay.2` is a second process of the Procfile's line `relay`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ends: list[tuple[str, int]] = []  # (name, exit code) of every process that ended unasked
        self.crashes = directory / "crash"
        self._ownership = Ownership(directory)
        self._lock = threading.RLock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._leaving = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def environment(self) -> dict[str, str]:
        """As each process gets it."""
        raise NotImplementedError

    def start_all(self, names: list[str]) -> None:
        for folder in (self.crashes, self.directory / "metrics", self.directory / "log"):
            folder.mkdir()
        self._ownership.take()
        for name in names:
            self.start(name)
        self._watcher.start()

    def end_all(self) -> None:
        """SIGKILL to all that carries our mark, the emulator too; how they stop in good order is a test of its own."""
        self._leaving.set()
        if self._watcher.is_alive():
            self._watcher.join()
        processes.kill(processes.marked(self.directory))
        self._ownership.release()

    def start(self, name: str) -> None:
        """Start a line of the Procfile, if it does not run."""
        with self._lock:
            if name not in self._running:
                self._running[name] = self._launch(name)

    def stop(self, name: str) -> int:
        """SIGTERM, and wait until it has drained; it stays down until it is started again. Returns the exit code."""
        with self._lock:
            process = self._running.pop(name)
        process.terminate()
        code = process.wait(STOP_SECONDS)
        left = processes.session_of(process.pid)
        assert not left, f"{name} left {left} behind"
        return code

    def stop_and_lose_patience(self, name: str, grace_seconds: float) -> None:
        """SIGTERM, and SIGKILL to all of it when the grace is over, as a platform does; it stays down."""
        with self._lock:
            process = self._running.pop(name)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_seconds)
        processes.kill(processes.session_of(process.pid))
        process.wait()

    def kill(self, name: str, *, for_good: bool = False) -> None:
        """SIGKILL to the process and all its children at once; the supervisor brings it back, unless `for_good`."""
        with self._lock:
            processes.kill(processes.session_of(self._running[name].pid))
            if for_good:
                self._running.pop(name).wait()

    def kill_child(self, name: str, which: int) -> None:
        """SIGKILL to one of its children alone."""
        with self._lock:
            children = psutil.Process(self._running[name].pid).children(recursive=True)
            if children:
                processes.kill([children[which % len(children)]])

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """SIGSTOP to all of it, SIGCONT on leaving: as a machine that stood still."""
        members = processes.session_of(self._running[name].pid)
        for member in members:
            member.suspend()
        try:
            yield
        finally:
            for member in members:
                member.resume()

    def arm(self, point: str, times: int = 1) -> None:
        """The next `times` processes that come to this point die there."""
        for number in range(times):
            (self.crashes / f"{point}.{number}").touch()

    def disarm(self) -> None:
        for token in self.crashes.iterdir():
            token.unlink(missing_ok=True)

    def crashes_left(self, point: str) -> int:
        return len(list(self.crashes.glob(f"{point}.*")))

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `fleet ...` as an operator would."""
        command = [sys.executable, "-m", "deploy.cli", *words]
        return subprocess.run(command, env=self.environment(), cwd=CLONE, capture_output=True, text=True, check=False)

    def log_lines(self) -> Iterator[str]:
        """What all processes said, in no order."""
        for log in sorted((self.directory / "log").iterdir()):
            yield from log.read_text(errors="replace").splitlines()

    def require_startable(self) -> None:
        """One whose settings are wrong can never start, so nothing needs to be waited for."""
        assert not self._leaving.is_set(), f"{self.ends[-1][0]} cannot start; see {self.directory / 'log'}"

    def _launch(self, name: str) -> subprocess.Popen[bytes]:
        line = PROCFILE[name.partition(".")[0]]
        with (self.directory / "log" / f"{name}.log").open("ab") as output:
            return processes.spawn(shlex.split(line), self.directory, self.environment(), CLONE, output)

    def _watch(self) -> None:
        """The supervisor: what ended is cleared away with its children and started again."""
        while not self._leaving.wait(LOOK_SECONDS):
            with self._lock:
                for name, process in self._running.items():
                    if (code := process.poll()) is not None:
                        processes.kill(processes.session_of(process.pid))
                        self.ends.append((name, code))
                        if code == EX_CONFIG:
                            self._leaving.set()
                            return
                        self._running[name] = self._launch(name)
