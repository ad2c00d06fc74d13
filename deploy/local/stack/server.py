"""What PostgreSQL, Valkey and RabbitMQ have in common here: prepare once, launch, wait until it answers, stop, kill.

The port and the data stay the same over `stop`, `kill` and `start`, which is what fault tests are made of. Readiness is
always a real question to the server, never a pause.
"""

from __future__ import annotations

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

from deploy.local.stack import processes
from deploy.local.stack.memory import Memory

START_SECONDS = 60.0  # a cold machine with two busy cores needs up to 20; past this something is wrong
ASK_AGAIN_SECONDS = 0.03


class ServerFailedError(Exception):
    """A server did not come up; the text says which, why, and where its log is."""


class Server(ABC):
    """One server of the stack; `directory` is the stack's, the server's own files lie in a folder of its name."""

    name: str
    stop_signal = signal.SIGTERM
    stop_seconds = 20.0

    def __init__(self, directory: Path, memory: Memory) -> None:
        self.stack_directory = directory
        self.directory = directory / self.name
        self.log = directory / "log" / f"{self.name}.log"
        self.memory = memory
        self.process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the fleet reaches it."""

    @property
    def port(self) -> int:
        return self.memory.port(self.name)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Launch and wait until it answers; a server that already runs is left alone."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the process without waiting for an answer."""
        if self.alive:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._prepare()
        with self.log.open("ab") as output:
            self.process = self._spawn(output.fileno())

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self.alive:
                raise ServerFailedError(self._story("ended while starting"))
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailedError(self._story(f"gave no answer within {START_SECONDS:.0f} s"))
            time.sleep(ASK_AGAIN_SECONDS)
        self._settle()

    def stop(self) -> None:
        """End it in good order, its data safe."""
        if self.process is not None:
            processes.end(self.process, self.stop_signal, self.stop_seconds)

    def kill(self) -> None:
        """SIGKILL to it and all its helpers at once, as a power cut would."""
        if self.process is not None:
            processes.kill(processes.family_of(self.process.pid))
            self.process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    @abstractmethod
    def _spawn(self, output: int) -> subprocess.Popen[bytes]:
        """Start the server's process."""

    @abstractmethod
    def _answers(self) -> bool:
        """Does it serve its clients?"""

    def _prepare(self) -> None:  # noqa: B027  most servers need one of the two, none needs both
        """Write what it needs on disk; runs before each launch."""

    def _settle(self) -> None:  # noqa: B027
        """What can be set only once it answers."""

    def _story(self, what: str) -> str:
        tail = self.log.read_text(errors="replace").splitlines()[-8:]
        return "\n".join([f"{self.name} {what}; the end of {self.log}:", *(f"  {line}" for line in tail)])
