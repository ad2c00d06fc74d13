"""Start the emulator as a process of its own and talk to it: for the local stack, tests and benches.

    with EmulatorProcess.start(Path("stripe.sqlite3"), token="...") as emulator:
        StripeClient(..., base_addresses={"api": emulator.base_url})

After a kill, a start with the same database goes on where the killed one was.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import urllib3

from .control.client import EmulatorControl

_START_SECONDS = 15.0
_PACKAGE = __name__.rpartition(".")[0]  # deploy.local.stripe in the checkout, stripe_emulator where it is installed


@dataclass(slots=True)
class EmulatorProcess:
    """A running emulator; as a context manager it is stopped at the end of the block."""

    port: int
    control_port: int
    token: str
    process: "subprocess.Popen[bytes]"

    @classmethod
    def start(
        cls,
        database: Path,
        token: str,
        *options: str,
        port: int | None = None,
        control_port: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> "EmulatorProcess":
        """Start one and wait until it answers.

        `options` are further flags of the command (`--seed 1`), `environment` further variables of the process: a
        caller that cleans up behind itself marks its processes with one. Ports default to free ones.

        Raises:
            RuntimeError: it ended, or did not answer within 15 seconds; its own output says why.
        """
        port, control_port = port or free_port(), control_port or free_port()
        given = ["--port", str(port), "--control-port", str(control_port), "--database", str(database), *options]
        variables = os.environ | {"STRIPE_EMULATOR_CONTROL_TOKEN": token} | dict(environment or {})
        command = [sys.executable, "-m", _PACKAGE, *given]
        process = subprocess.Popen(command, env=variables, start_new_session=True)
        emulator = cls(port, control_port, token, process)
        emulator._wait_until_healthy()
        return emulator

    @property
    def base_url(self) -> str:
        """The address of the API, for `base_addresses` of a Stripe client."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self.control_port}"

    def control(self) -> EmulatorControl:
        """A client of its control API."""
        return EmulatorControl(self.control_url, self.token)

    def kill(self) -> None:
        """SIGKILL, as in a crash: nothing is flushed. The database keeps all that was answered."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait at most ten seconds for the end."""
        self.process.terminate()
        self.process.wait(timeout=10)

    def __enter__(self) -> "EmulatorProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib3.request("GET", f"{self.base_url}/_emulator/health", timeout=1.0, retries=False)
            except urllib3.exceptions.HTTPError:
                time.sleep(0.03)
            else:
                return
        self.process.kill()
        raise RuntimeError("the Stripe emulator did not start; its own output says why")


def free_port() -> int:
    """A TCP port of loopback that was free a moment ago; another process may take it first."""
    with socket.socket() as probing:
        probing.bind(("127.0.0.1", 0))
        port: int = probing.getsockname()[1]
        return port
