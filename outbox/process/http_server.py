"""uvicorn as our two HTTP processes run it: our logs, no access log, and a heartbeat of the event loop each second."""

import sys
from threading import Event
from types import FrameType
from typing import Any

import uvicorn

from outbox.process.heartbeat import beat

EX_UNAVAILABLE = 69  # sysexits.h
# Longer than any answer of ours takes. A client that sends the half of a request and waits must not hold back the end.
DRAIN_SECONDS = 15


class _Server(uvicorn.Server):
    """Sets `stopping` on a signal, so that the health page reports it while the last requests are answered."""

    def __init__(self, config: uvicorn.Config, stopping: Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)


def listen(app: Any, process: str, stopping: Event, *, host: str, port: int) -> None:
    """Serve an ASGI app until asked to stop, then until the accepted requests are answered, at most DRAIN_SECONDS
    longer.

    Called from the main thread. uvicorn drains on a signal and then raises it again, for the handler that it found:
    that must be stop_on_signals' (outbox/process/run.py sets it), or the process ends before it has closed what it
    opened.

    Raises:
        SystemExit: the address cannot be bound (exit code 69).
    """

    async def notify() -> None:
        beat(process)
        if stopping.is_set():  # also when the signal came before uvicorn listened for it
            server.should_exit = True

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        callback_notify=notify,
        timeout_notify=1,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = _Server(config, stopping)
    server.run()
    if not server.started:
        sys.exit(EX_UNAVAILABLE)
