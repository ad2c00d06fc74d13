"""Keeps all programs of the fleet running: shows what they say, brings back what ends, stops all in order.

A program that ends is reported (which, why, its last words) and started again after a growing pause. One that fails
at every start, or says that its settings are wrong, ends the whole with a sentence: a fleet that stands half is worse
than one that says what it needs.
"""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType

import urllib3

from deploy.local.stack.program import Program
from deploy.local.stack.restarts import describe

LOOK_SECONDS = 0.1
EX_SOFTWARE = 70


class Supervisor:
    """`show(name, line)` prints a line of one program, or our own under the name `fleet`."""

    def __init__(self, programs: Sequence[Program], show: Callable[[str, str], None]) -> None:
        self.programs = list(programs)
        self.show = show
        self.exit_code = 0
        self._stop_requests = 0
        self._pipes = selectors.DefaultSelector()

    def run(self, when_ready: Callable[[], None]) -> int:
        """Until SIGINT, SIGTERM or a hopeless program; returns the exit code for the whole."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)
        for program in self.programs:
            if program.process is None:
                self._start(program)
        ready = False
        while not self._stop_requests:
            self._pass_on_output()
            for program in self.programs:
                self._look_after(program)
            if not ready and self._all_ready():
                ready = True
                when_ready()
        self._stop_all()
        return self.exit_code

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        """The second time means: at once."""
        self._stop_requests += 1
        if self._stop_requests > 1:
            for program in self.programs:
                program.kill()

    def _start(self, program: Program) -> None:
        program.start()
        if program.process is not None and program.process.stdout is not None:
            self._pipes.register(program.process.stdout, selectors.EVENT_READ, program)

    def _pass_on_output(self) -> None:
        for key, _ in self._pipes.select(LOOK_SECONDS):
            program: Program = key.data
            lines = program.new_lines()
            for line in lines:
                self.show(program.name, line)
            if not lines and program.exit_code is not None:
                self._pipes.unregister(key.fileobj)

    def _look_after(self, program: Program) -> None:
        if program.next_start_at is not None:
            if time.monotonic() >= program.next_start_at:
                self._start(program)
            return
        if program.exit_code is not None:
            self._ended(program, program.exit_code)

    def _ended(self, program: Program, exit_code: int) -> None:
        self._take_last_words(program)
        program.end_rest()
        delay = program.policy.delay_seconds(exit_code, program.lived_seconds)
        if delay is None:
            self._give_up(program, exit_code)
            return
        self.show("fleet", f"{program.name} ended ({describe(exit_code)}); starting it again in {delay:g} s")
        program.next_start_at = time.monotonic() + delay

    def _take_last_words(self, program: Program) -> None:
        pipe = None if program.process is None else program.process.stdout
        if pipe is None or pipe.closed:
            return
        for line in program.new_lines():
            self.show(program.name, line)
        if pipe in self._pipes.get_map():
            self._pipes.unregister(pipe)
        pipe.close()

    def _give_up(self, program: Program, exit_code: int) -> None:
        self.exit_code = exit_code if exit_code > 0 else EX_SOFTWARE
        self._stop_requests += 1
        self.show("fleet", f"{program.name} cannot stay up ({describe(exit_code)}). Its last lines:")
        for line in program.last_lines:
            self.show("fleet", f"    {line}")
        self.show("fleet", "The whole fleet stops. Put right what these lines name, then run `make up` again.")

    def _all_ready(self) -> bool:
        addresses = [program.ready_address for program in self.programs if program.ready_address]
        running = all(program.next_start_at is None for program in self.programs)
        return running and all(answers(address) for address in addresses)

    def _stop_all(self) -> None:
        """From the last of the Procfile to the first: who takes work stops before who hands it over."""
        for program in reversed(self.programs):
            self._stop(program)
            self.show("fleet", f"{program.name} stopped")

    def _stop(self, program: Program) -> None:
        """Reading on meanwhile: a process whose pipe is full waits for us, and would never end."""
        program.ask_to_stop()
        deadline = time.monotonic() + program.stop_seconds
        while program.is_stopping and time.monotonic() < deadline:
            self._pass_on_output()
        program.stop()
        self._take_last_words(program)


def answers(address: str) -> bool:
    """A plain 200, quickly."""
    try:
        return urllib3.request("GET", address, timeout=0.5, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False
