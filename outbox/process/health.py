"""Health and metrics of every process, from a thread beside its main loop: HEALTH_HOST and HEALTH_PORT, off when unset.

GET /health/live     200 while every main loop beats (outbox/process/heartbeat.py); no dependency counts here
GET /health/ready    200 while every dependency it cannot work without is reachable, and it is not stopping
GET /health/db       and redis, broker, stripe: one dependency by itself; "not asked here" where a process has no use
GET /metrics         Prometheus: this process and its forks only

Stripe does not count for ready: a worker that is taken out of service does not bring Stripe back, and a roll-out during
an outage of Stripe would not finish. Nor does the cache, without which the fleet is only slower.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from loguru import logger
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from pydantic import Field

from messages.runtime.redaction import redact_text
from messages.runtime.settings import FleetSettings
from outbox.process.heartbeat import BEATS
from outbox.process.metric_names import shown
from outbox.process.metrics import exposition

# The longest that a loop may rightly stand: a relay's round waits four times ten seconds for confirms at most.
LIVE_SECONDS = 60.0
START_SECONDS = 120.0
ASK_AGAIN_SECONDS = 5.0
PATIENCE_SECONDS = 3.0  # for an answer; the probes of the manifests wait for eight
NAMES = ("db", "redis", "broker", "stripe")
NOT_ASKED = "not asked here"

UP = shown(
    "fleet_dependency_up", "1 while this process can reach the dependency: db, redis, broker or stripe", "dependency"
)
SCRAPE_SECONDS = 1.0  # a scrape waits no longer for an answer, and shows the last one

SILENT = shown("fleet_loop_silent_seconds", "Time since the last heartbeat of a main loop of this process", "loop")

Check = Callable[[], bool]


def _already() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


class HealthSettings(FleetSettings):
    """Where a process serves `/health/...` and `/metrics`. With a port the scheduler also needs broker and cache."""

    health_host: str = Field(default="127.0.0.1", description="the address that health and metrics are served on")
    health_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="the port that health and metrics are served on; unset, they are not served",
    )


@dataclass(slots=True)
class CachedCheck:
    """A check whose answer is reused for a moment, so that frequent probes do not become a load of their own.

    Each question runs on a daemon thread: a dependency that accepts and does not answer must hold up neither this page
    nor the end of the process. It counts as down until it answers, and no second question is asked meanwhile. Safe to
    call from several threads.

    Attributes:
        check: the question; an exception counts as no.
        seconds: how long an answer is reused; None means ASK_AGAIN_SECONDS.
        patience_seconds: how long a call waits for an answer, counted from when the question was asked.
    """

    check: Check
    seconds: float | None = None  # ASK_AGAIN_SECONDS
    patience_seconds: float = PATIENCE_SECONDS
    _answer: bool = False
    _until: float = 0.0
    _asked_at: float = 0.0
    _answered: threading.Event = field(default_factory=_already)
    _asking: threading.Lock = field(default_factory=threading.Lock)

    @property
    def last(self) -> bool:
        """The last answer, without asking; False when one has been outstanding for longer than the patience."""
        return self._answer and (self._answered.is_set() or self._patience_left() > 0)

    def __call__(self) -> bool:
        """Ask if the last answer is too old, and wait for it within the patience; False when none came in time."""
        self.ask()
        self._answered.wait(max(0.0, self._patience_left()))
        return self.last and self._answered.is_set()

    def ask(self) -> None:
        """Start a question, unless the last answer is still good or one is outstanding; returns at once."""
        with self._asking:
            if self._answered.is_set() and time.monotonic() >= self._until:
                self._answered.clear()
                self._asked_at = time.monotonic()
                threading.Thread(target=self._ask, name="health-asks", daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait until no question is outstanding, at most this long."""
        self._answered.wait(seconds)

    def _ask(self) -> None:
        try:
            self._answer = self.check()
        except Exception as error:  # noqa: BLE001  whatever it was, the answer is no
            self._answer = said_no("a dependency", error)
        self._until = time.monotonic() + (ASK_AGAIN_SECONDS if self.seconds is None else self.seconds)
        self._answered.set()

    def _patience_left(self) -> float:
        return self._asked_at + self.patience_seconds - time.monotonic()


@dataclass
class Health(Collector):
    """What a process reports about itself: health pages, and for Prometheus its dependencies and heartbeats.

    Attributes:
        process: its name in the Procfile.
        checks: by name, from NAMES; plain checks are wrapped in CachedCheck.
        needed: the checks that decide readiness; the others are only shown.
        stopping: set when the process was asked to stop: then it is live, so that its loops may end, and not ready.
        started: `time.monotonic()` at the start; a process without any heartbeat is live for START_SECONDS.
        more: collectors whose metrics are shown on the same page.
    """

    process: str
    checks: Mapping[str, Check]
    needed: tuple[str, ...]
    stopping: threading.Event = field(default_factory=threading.Event)
    started: float = field(default_factory=time.monotonic)
    more: Sequence[Collector] = ()

    def __post_init__(self) -> None:
        assert set(self.needed) <= set(self.checks) <= set(NAMES), "a check has one of the four names"
        self._cached = {
            name: each if isinstance(each, CachedCheck) else CachedCheck(each) for name, each in self.checks.items()
        }
        self.checks = self._cached

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body of a health page; 404 for an unknown path. Blocks for up to PATIENCE_SECONDS per check.

        A dependency that this process does not use is 200, so that one probe definition serves all processes.
        """
        if path == "/health/live":
            return self._live()
        if path == "/health/ready":
            return self._ready()
        name = path.removeprefix("/health/")
        if name not in NAMES or path == name:
            return 404, {"status": "nothing answers here"}
        if name not in self.checks:
            return 200, {"status": NOT_ASKED}
        well = self.checks[name]()
        return (200 if well else 503), {"status": _word(well)}

    def collect(self) -> Iterable[Metric]:
        """For Prometheus: each dependency as it answers now, all asked at once, and the age of the heartbeats.

        Waits SCRAPE_SECONDS in total; a check that is slower shows its last answer. Of several loops with one name, the
        most silent one is shown.
        """
        self._ask(self._cached)
        until = time.monotonic() + SCRAPE_SECONDS
        for check in self._cached.values():
            check.wait(max(0.0, until - time.monotonic()))
        yield UP.family({(name,): float(check.last) for name, check in self._cached.items()})
        silent: dict[tuple[str, ...], float] = {}
        for each in BEATS.all():
            silent[each.name,] = max(silent.get((each.name,), 0.0), each.age_seconds)
        # No label of the process id: each restart would start another time series.
        yield SILENT.family(silent)

    def _ask(self, names: Iterable[str]) -> None:
        """All at once, so that the slowest one and not their sum decides how long an answer takes."""
        for name in names:
            self._cached[name].ask()

    def _live(self) -> tuple[int, dict[str, Any]]:
        """Dependencies do not count: a restart does not repair a database."""
        beats = BEATS.all()
        late = [each for each in beats if each.age_seconds > LIVE_SECONDS]
        silent = not beats and time.monotonic() - self.started > START_SECONDS
        live = self.stopping.is_set() or not (late or silent)  # one that stops lets its loops end
        stands = {f"{each.name} ({each.pid})": round(each.age_seconds, 1) for each in late}
        return (200 if live else 503), {"status": "live" if live else "stands still", "silent_for_seconds": stands}

    def _ready(self) -> tuple[int, dict[str, Any]]:
        self._ask(self.needed)
        found = {name: self.checks[name]() for name in self.needed}
        ready = all(found.values()) and bool(BEATS.all()) and not self.stopping.is_set()
        words = {name: _word(well) for name, well in found.items()}
        return (200 if ready else 503), {"status": "ready" if ready else "not ready", **words}


class HealthServer:
    """Serves from construction until `close`, or until its process ends: its threads are daemons. Port 0 takes a free
    one.
    """

    def __init__(self, health: Health, host: str, port: int) -> None:
        self._server = _Server((host, port), _handler_for(health))
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def serve_health(settings: HealthSettings, health: Health) -> HealthServer | None:
    """Start to serve health and metrics; None without HEALTH_PORT.

    Raises:
        SystemExit: the port cannot be bound (exit code 1); a process whose health nobody can see must not start.
    """
    if settings.health_port is None:
        return None
    try:
        server = HealthServer(health, settings.health_host, settings.health_port)
    except OSError as error:
        where = f"{settings.health_host}:{settings.health_port}"
        raise SystemExit(f"This process cannot start:\n  - HEALTH_PORT: {where} cannot be had: {error}.") from None
    logger.info("health and metrics of {} served on {}:{}", health.process, settings.health_host, server.port)
    return server


def said_no(name: str, error: Exception) -> bool:
    """Log why a check failed, by the error's class only (its text may hold an address with a password), and return
    False.
    """
    logger.warning("health check of {} failed: {}", name, redact_text(type(error).__name__))
    return False


def _word(well: bool) -> str:
    return "up" if well else "down"


def _handler_for(health: Health) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "fleet", ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                body, content_type = exposition(BEATS.pids(), [health, *health.more])
                self._send(200, body, content_type)
                return
            status, told = health.answer(path)
            self._send(status, json.dumps(told).encode(), "application/json")

        def _send(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """A line for each probe would drown the rest."""

    return Handler
