"""uvicorn as our two HTTP processes run it: our logs, no access log, and a beat of the event loop each second."""

import sys
from typing import Any

import uvicorn

from outbox.heartbeat import beat

EX_UNAVAILABLE = 69  # sysexits.h


def listen(app: Any, process: str, *, host: str, port: int, server_header: bool = True) -> None:
    """Serve until asked to stop.

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
        server_header=server_header,
        callback_notify=notify,
        timeout_notify=1,
    )
    server = uvicorn.Server(config)
    server.run()
    if not server.started:
        sys.exit(EX_UNAVAILABLE)
