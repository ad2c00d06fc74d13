"""One process, one event loop: the API port, the control port, the deliveries and what Stripe does later by itself.

Loopback only: an emulator that takes any test key must not be reachable from elsewhere.
"""

import asyncio
import contextlib
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from . import API_VERSION, VERSION
from .api.application import Api
from .api.http import TRANSPORT
from .api.limits import Limiter
from .control.api import ControlApi
from .resources.webhook_endpoints import api as webhook_endpoints
from .settings import Settings
from .tasks import tasks_of
from .webhooks.dispatcher import Dispatcher
from .world import World

_HOST = "127.0.0.1"
_TICK_SECONDS = 0.05
_TICKS_PER_PRUNE = 6000


class _CuttableProtocol(HttpToolsProtocol):
    """Hands the connection to the application, which cuts it when a fault says so."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]  # our own key, read by send_answer


class _Server(uvicorn.Server):
    """Two servers share the process, so neither may take the signals for itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings) -> None:
    """Serve both ports until SIGTERM or SIGINT, or until a background task has failed."""
    world = World.open(settings)
    world.schedule.tasks = tasks_of(world)
    dispatcher = Dispatcher(world.outbox)
    webhook_endpoints.ensure_given(world)
    limiter = Limiter(settings.limit_per_second, settings.endpoint_limit_per_second)
    api, control = Api(world, dispatcher, limiter), ControlApi(world, dispatcher, limiter)
    servers = [_server(api), _server(control.application())]
    sockets = [_listen(settings.port), _listen(settings.control_port)]
    _print_banner(settings, *(listening.getsockname()[1] for listening in sockets))
    background = [asyncio.create_task(dispatcher.run()), asyncio.create_task(_tick(world, dispatcher))]
    for task in background:
        task.add_done_callback(lambda ended: _stop_on_bug(ended, servers))
    _stop_on_signal(servers)
    await asyncio.gather(*(server.serve(sockets=[s]) for server, s in zip(servers, sockets, strict=True)))
    for task in background:
        task.cancel()
    dispatcher.write_results()


async def _tick(world: World, dispatcher: Dispatcher) -> None:
    ticks = 0
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        if world.schedule.run_due():
            dispatcher.send_fresh()
        ticks += 1
        if ticks % _TICKS_PER_PRUNE == 0:
            world.keys.prune()


def _server(application: Any) -> _Server:
    config = uvicorn.Config(
        application,
        http=_CuttableProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=2,
        backlog=1024,
    )
    return _Server(config)


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((_HOST, port))
    listening.listen(1024)
    return listening


def _stop_on_signal(servers: list[_Server]) -> None:
    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _stop_on_bug(ended: "asyncio.Task[None]", servers: list[_Server]) -> None:
    """An emulator that no longer delivers or settles must not look healthy."""
    if not ended.cancelled() and (error := ended.exception()) is not None:
        traceback.print_exception(error)
        for server in servers:
            server.should_exit = True


def _print_banner(settings: Settings, port: int, control_port: int) -> None:
    lines = (
        f"STRIPE EMULATOR {VERSION}: this is a local emulator and NOT Stripe; no money moves here.",
        f"  API {API_VERSION} on http://{_HOST}:{port} (sk_test_ and rk_test_ keys only)",
        f"  control API on http://{_HOST}:{control_port}; state in {settings.database}",
        f"  what it does not do: http://{_HOST}:{port}/_emulator/capabilities",
    )
    print("\n".join(lines), file=sys.stderr, flush=True)
