"""uvicorn as our two HTTP processes run it: our logs, no access log, and a beat of the event loop each second."""

import signal
import sys
from threading import Event
from types import FrameType
from typing import Any

import uvicorn

from outbox.process.heartbeat import beat
from outbox.process.shutdown import leave_at_last

EX_UNAVAILABLE = 69  # sysexits.h
# Longer than any answer of ours takes. A client that sends the half of a request and waits must not hold back the end.
DRAIN_SECONDS = 15


class _Server(uvicorn.Server):
    """Tells our health page that it was asked to stop."""

    def __init__(self, config: uvicorn.Config, stopping: Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)


def listen(app: Any, process: str, stopping: Event, *, host: str, port: int) -> None:
    """Serve until asked to stop, then until what was accepted is answered.

    Raises:
        SystemExit: the address cannot be had.
    """

    async def notify() -> None:
        beat(process)

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
    _outlive_the_signals()
    leave_at_last(stopping)
    server = _Server(config, stopping)
    server.run()
    if not server.started:
        sys.exit(EX_UNAVAILABLE)


def _outlive_the_signals() -> None:
    """uvicorn drains on SIGTERM, then raises it again, which would end the process before it has tidied up."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
