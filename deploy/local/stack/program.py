"""One supervised process over its many lives: its output line by line, its end, its next start."""

from __future__ import annotations

import os
import subprocess
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.local.stack import processes
from deploy.local.stack.restarts import RestartPolicy

LAST_LINES = 12


@dataclass(eq=False)
class Program:
    """`launch` starts the process; its output comes through a pipe, or lies in a log when the process has none."""

    name: str
    launch: Callable[[], subprocess.Popen[bytes]]
    ready_address: str | None = None
    stop_process: Callable[[], None] | None = None  # for one that has a better way to stop than SIGTERM
    stop_seconds: float = 15.0
    process: subprocess.Popen[bytes] | None = None
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    started_at: float = 0.0
    next_start_at: float | None = None  # set while it is down and shall come back
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    _unfinished: bytes = b""

    def start(self) -> None:
        self.process = self.launch()
        self.started_at, self.next_start_at, self._unfinished = time.monotonic(), None, b""
        if self.process.stdout is not None:
            os.set_blocking(self.process.stdout.fileno(), False)

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and once its end was taken note of."""
        return None if self.process is None or self.next_start_at is not None else self.process.poll()

    @property
    def lived_seconds(self) -> float:
        return time.monotonic() - self.started_at

    def new_lines(self) -> list[str]:
        """What it has written since we asked last, whole lines only."""
        *lines, self._unfinished = (self._unfinished + self._read()).split(b"\n")
        texts = [line.decode(errors="replace") for line in lines]
        self.last_lines.extend(texts)
        return texts

    def _read(self) -> bytes:
        if self.process is None or self.process.stdout is None:
            return b""
        try:
            return os.read(self.process.stdout.fileno(), 1 << 20)
        except BlockingIOError:
            return b""

    def end_rest(self) -> None:
        """After its leader ended: its children would otherwise go on by themselves, beside those of the next start."""
        if self.process is not None:
            processes.kill(processes.session_of(self.process.pid))

    def ask_to_stop(self) -> None:
        if self.is_stopping and self.process is not None:
            self.process.terminate()

    @property
    def is_stopping(self) -> bool:
        """Still there, and one that SIGTERM ends."""
        return self.stop_process is None and self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """What is left is ended for good; `ask_to_stop` came before, with time to obey."""
        if self.stop_process is not None:
            self.stop_process()
        elif self.process is not None:
            self.process.kill()
            self.process.wait()
            self.end_rest()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
