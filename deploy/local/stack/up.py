"""`fleet up` and `fleet down`: the whole fleet on this machine, in front or in the background.

Up: servers, then migrations, then the Stripe emulator and every process of the Procfile under one supervisor. Down: a
word to that supervisor, which stops them in order; whatever a killed one has left is ended too. Both may be said twice.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from honcho.colour import get_colours
from honcho.environ import parse_procfile
from honcho.printer import Message, Printer

from deploy.local.stack import processes
from deploy.local.stack.ownership import AlreadyRunningError, owner_of
from deploy.local.stack.program import Program
from deploy.local.stack.server import Server, ServerFailedError
from deploy.local.stack.stack import CLONE, Stack
from deploy.local.stack.supervisor import Supervisor
from messages.queue_classes import queue_classes

START_SECONDS = 120.0
STOP_SECONDS = 120.0
THREADS = 8  # of one worker process, as in the Procfile and the manifests


def up(scale: Mapping[str, int], detach: bool) -> int:
    """Returns the exit code: 0 after a stop that was asked for, or once the background fleet is ready."""
    stack = Stack()
    try:
        require_known(scale)
        return up_in_background(stack, scale) if detach else up_in_front(stack, scale)
    except (ServerFailedError, AlreadyRunningError) as error:
        sys.stderr.write(f"The fleet cannot start: {error}\n")
        return 1


def up_in_front(stack: Stack, scale: Mapping[str, int]) -> int:
    signal.signal(signal.SIGTERM, _as_keyboard_interrupt)
    ready_file(stack).unlink(missing_ok=True)
    print("Starting PostgreSQL, Valkey and RabbitMQ ...", flush=True)
    try:
        with stack:
            if (failed := migrate(stack)) != 0:
                return failed
            programs = [*servers_of(stack), *emulator_of(stack), *procfile_programs(stack, scale)]
            return Supervisor(programs, printer_for(programs)).run(lambda: announce(stack))
    except KeyboardInterrupt:
        return 0
    finally:
        ready_file(stack).unlink(missing_ok=True)


def _as_keyboard_interrupt(_number: int, _frame: object) -> None:
    """Until the supervisor listens itself: a stop in the midst of the start leaves through the same door as Ctrl-C."""
    raise KeyboardInterrupt


def migrate(stack: Stack) -> int:
    command = [sys.executable, "-m", "deploy.cli", "migrate"]
    return subprocess.run(command, cwd=CLONE, env=environment_of(stack), check=False).returncode


def servers_of(stack: Stack) -> list[Program]:
    """They run already; as programs they are looked after like everything else."""
    return [_server_program(server) for server in stack.servers]


def _server_program(server: Server) -> Program:
    def launch() -> subprocess.Popen[bytes]:
        server.launch()
        assert server.process is not None, "launch sets it"
        return server.process

    program = Program(server.name, launch, stop_process=server.stop)
    program.start()
    return program


def emulator_of(stack: Stack) -> list[Program]:
    """The Stripe-shaped server, when the environment points at it."""
    if not stack.uses_emulator:
        return []
    environment = {**environment_of(stack), **stack.emulator_environment()}
    address = f"{stack.environment()['STRIPE_API_BASE']}/_emulator/health"
    return [_program(stack, "stripe-emulator", "python -m deploy.local.stripe", environment, address)]


def procfile_programs(stack: Stack, scale: Mapping[str, int]) -> list[Program]:
    """One program a line, or as many as `scale` says, then numbered."""
    lines = lines_for(parse_procfile((CLONE / "Procfile").read_text()).processes, scale)
    programs = []
    for name, line in lines.items():
        count = scale.get(name, 1)
        names = [name] if count == 1 else [f"{name}.{number + 1}" for number in range(count)]
        programs += [
            _program(stack, each, line, environment_of(stack) | health_of(stack, each), ready_address(stack, name))
            for each in names
        ]
    return programs


def require_known(scale: Mapping[str, int]) -> None:
    """Before any server is started.

    Raises:
        ServerFailedError: --scale names a process that there is not.
    """
    lines = lines_for(parse_procfile((CLONE / "Procfile").read_text()).processes, scale)
    if unknown := set(scale) - set(lines):
        raise ServerFailedError(f"--scale names {', '.join(sorted(unknown))}; there are {', '.join(lines)}")


def lines_for(procfile: Mapping[str, str], scale: Mapping[str, int]) -> dict[str, str]:
    """The Procfile; whoever scales a class of queues gets a line for each class in the place of the one for all."""
    classes = queue_classes()
    if not classes.keys() & scale.keys():
        return dict(procfile)
    worker = f"python -m workers.main --processes 1 --threads {THREADS}"
    each = {name: f"{worker} --queue-class {name}" for name in classes}
    return {name: line for name, line in procfile.items() if name != "workers"} | each


def health_of(stack: Stack, program: str) -> dict[str, str]:
    """Each process has a port of its own: /health/live, /health/ready and /metrics (outbox/process/health.py)."""
    return {"HEALTH_HOST": "127.0.0.1", "HEALTH_PORT": str(stack.memory.port(f"health_{program}"))}


def ready_address(stack: Stack, name: str) -> str | None:
    addresses = {"intake-http": intake_address(stack), "console": console_address(stack)}
    return f"{addresses[name]}/health/ready" if name in addresses else None


def _program(stack: Stack, name: str, line: str, environment: dict[str, str], address: str | None) -> Program:
    def launch() -> subprocess.Popen[bytes]:
        return processes.spawn(shlex.split(line), stack.directory, environment, CLONE, subprocess.PIPE)

    return Program(name, launch, address)


def environment_of(stack: Stack) -> dict[str, str]:
    """Ours, the stack's, and `python` meaning the one that runs us."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, **stack.environment(), "PATH": path, "PYTHONUNBUFFERED": "1"}


def printer_for(programs: list[Program]) -> Show:
    return Show([program.name for program in programs])


class Show:
    """A line with time and name before it, each name in its colour."""

    def __init__(self, names: list[str]) -> None:
        self.printer = Printer(output=sys.stdout, width=max(map(len, names)))
        self.colours = dict(zip(names, get_colours(), strict=False))

    def __call__(self, name: str, line: str) -> None:
        now = datetime.now().astimezone()
        self.printer.write(Message(type="line", data=line, time=now, name=name, colour=self.colours.get(name)))


def announce(stack: Stack) -> None:
    """The addresses to look at, on the screen and in the file that `--detach` waits for."""
    lines = [
        "The fleet is up.",
        f"  webhooks, health, metrics   {intake_address(stack)}",
        f"  API                         {intake_address(stack)}/openapi.json",
        f"  ops console                 {console_address(stack)}",
    ]
    if stack.uses_emulator:
        lines.append(f"  Stripe emulator             {stack.environment()['STRIPE_API_BASE']}")
    text = "\n".join(lines)
    print(text, flush=True)
    if sys.stdout.isatty():  # else it is a log, and passwords stay out of logs
        print(logins(stack), flush=True)
    ready_file(stack).write_text(text + "\n")


def logins(stack: Stack) -> str:
    """Who may log in at the console, for the person at this terminal."""
    return "\n".join(f"    log in as {name:<10}      {word}" for name, word in stack.console.logins().items())


def intake_address(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.environment()['INTAKE_HTTP_PORT']}"


def console_address(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.environment()['CONSOLE_PORT']}"


def ready_file(stack: Stack) -> Path:
    return stack.directory / "ready"


def up_in_background(stack: Stack, scale: Mapping[str, int]) -> int:
    if (owner := owner_of(stack.directory)) is not None:
        raise AlreadyRunningError(f"it is already up (process {owner}); `fleet down` stops it")
    log = stack.directory / "log" / "fleet.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    ready_file(stack).unlink(missing_ok=True)
    scaled = [word for name, count in scale.items() for word in ("--scale", f"{name}={count}")]
    command = [sys.executable, "-m", "deploy.cli", "up", *scaled]
    with log.open("wb") as output:
        fleet = subprocess.Popen(
            command, cwd=CLONE, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    return _wait_until_ready(stack, fleet, log)


def _wait_until_ready(stack: Stack, fleet: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while not ready_file(stack).exists():
        if fleet.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            sys.stderr.write(f"{tail}\nThe fleet did not come up; the whole log is {log}\n")
            fleet.terminate()
            return fleet.wait() or 1
        time.sleep(0.05)
    ready = ready_file(stack).read_text()
    print(f"{ready}{logins(stack)}\n  log                         {log}\n`make down` stops it.")
    return 0


def down() -> int:
    """Ask the running fleet to stop and wait for it; clean up after one that was killed."""
    directory = Stack().directory
    owner = owner_of(directory)
    if owner is not None:
        os.kill(owner, signal.SIGTERM)
        _wait_for_the_end_of(directory)
    left = processes.end_marked(directory)
    print("The fleet is down." if owner or left else "The fleet was not running.")
    return 0


def _wait_for_the_end_of(directory: Path) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while (owner := owner_of(directory)) is not None:
        if time.monotonic() > deadline:
            os.kill(owner, signal.SIGKILL)  # its guard ends the rest
        time.sleep(0.05)
