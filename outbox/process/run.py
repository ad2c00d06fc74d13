"""How each of our processes starts and ends: written once, for every line of the Procfile.

Phases: a signal ends the start -> all settings are read, or it leaves with 78 and a sentence for each that is wrong ->
logs and traces -> `build` makes what the process works with -> a signal now asks it to stop -> work -> what was opened
is closed. A process that is held up beyond its patience, once asked to stop, leaves with 75
(outbox/process/shutdown.py). The workers start themselves (workers/main.py), because Dramatiq forks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, TypeVar, overload

from loguru import logger
from prometheus_client.registry import Collector

from db.session import Database
from db.settings import DatabaseSettings
from messages.runtime.settings import FleetSettings, SettingsError, load, stop_the_start
from outbox.process.health import Check, Health, HealthSettings, serve_health
from outbox.process.logs import configure_logs
from outbox.process.shutdown import PATIENCE_SECONDS, leave_while_starting, stop_on_signals
from outbox.process.tracing import start_tracing

Work = Callable[[], None]
"""The main loop: returns soon after `Process.stopping` is set."""


@dataclass(slots=True)
class Process:
    """What `build` gets beside its settings.

    `stopping` is set by SIGTERM or Ctrl-C. `closing` is unwound after the work has returned, the last entry first; when
    the work ends by an exception, nothing is closed and the operating system frees what was open.
    """

    name: str
    health_settings: HealthSettings
    stopping: Event = field(default_factory=Event)
    closing: ExitStack = field(default_factory=ExitStack)

    def database(self, settings: DatabaseSettings) -> Database:
        """A connection pool under the name `fleet-<process>` (pg_stat_activity shows it), closed at the end of the
        process.
        """
        db = Database(settings, application=f"fleet-{self.name}")
        self.closing.callback(db.close)
        return db

    def serve_health(
        self, checks: Mapping[str, Check], needed: tuple[str, ...], *, more: Sequence[Collector] = ()
    ) -> Health:
        """Start the health page where HEALTH_PORT is set. `needed` names the checks without which the process is not
        ready.

        Returns the health also without a port: the HTTP intake shows it on its own port.

        Raises:
            SystemExit: the port is taken.
        """
        health = Health(self.name, checks, needed, self.stopping, more=more)
        serve_health(self.health_settings, health)
        return health


@contextmanager
def starting() -> Iterator[None]:
    """Around the start of a process: a signal ends it at once, and a settings error becomes sentences.

    Raises:
        SystemExit: 0 when it is asked to stop meanwhile, 78 when a setting is missing or wrong.
    """
    leave_while_starting()
    try:
        yield
    except SettingsError as error:
        stop_the_start(error)


A = TypeVar("A", bound=FleetSettings)
B = TypeVar("B", bound=FleetSettings)
C = TypeVar("C", bound=FleetSettings)
D = TypeVar("D", bound=FleetSettings)
E = TypeVar("E", bound=FleetSettings)
F = TypeVar("F", bound=FleetSettings)


@dataclass(frozen=True, slots=True)
class Program:
    """One line of the Procfile.

    Attributes:
        name: its name there, in the logs and on the health page.
        goodbye: the line it logs after a regular end; None logs nothing.
        traced: whether it exports traces, where they are configured.
        patience_seconds: how long its end may take, less than its manifest's grace.
    """

    name: str
    goodbye: str | None = None
    traced: bool = True
    patience_seconds: float = PATIENCE_SECONDS

    @overload
    def run(self, settings: tuple[type[A]], build: Callable[[Process, A], Work]) -> None: ...
    @overload
    def run(self, settings: tuple[type[A], type[B]], build: Callable[[Process, A, B], Work]) -> None: ...
    @overload
    def run(
        self, settings: tuple[type[A], type[B], type[C], type[D]], build: Callable[[Process, A, B, C, D], Work]
    ) -> None: ...
    @overload
    def run(
        self,
        settings: tuple[type[A], type[B], type[C], type[D], type[E], type[F]],
        build: Callable[[Process, A, B, C, D, E, F], Work],
    ) -> None: ...
    def run(self, settings: tuple[type[FleetSettings], ...], build: Callable[..., Work]) -> None:
        """Be this process until asked to stop. `build` gets the process and its settings, and returns the work.

        Called once, from `main` on the main thread. All settings are checked before anything is opened.

        Raises:
            SystemExit: 0 when asked to stop while it starts, 78 when a setting is missing or wrong, 75 when held up.
        """
        with starting():
            process, loaded = self._begin(settings)
            work = build(process, *loaded)
            stop_on_signals(process.stopping, patience_seconds=self.patience_seconds)
        work()
        process.closing.close()
        if self.goodbye:
            logger.info(self.goodbye)

    def _begin(self, settings: tuple[type[FleetSettings], ...]) -> tuple[Process, Sequence[Any]]:
        *own, health = load(*settings, HealthSettings)
        assert isinstance(health, HealthSettings), "it was asked for last"
        configure_logs(health.app_env, self.name)
        if self.traced:
            start_tracing(self.name)
        return Process(self.name, health), own
