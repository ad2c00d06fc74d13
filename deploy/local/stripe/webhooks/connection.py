"""A small HTTP/1.1 client for deliveries: one POST at a time on a connection that is kept open and used again.

Written here because a delivery happens several times per payment on the processors that the fleet is measured on: this
costs a fraction of a general client. It knows only what a webhook needs: POST, a status back, a time limit.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads."""

    host: str
    port: int
    secure: bool
    path: str

    @classmethod
    def of(cls, url: str) -> "Target":
        """From an http or https URL."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname or "", parts.port or (443 if secure else 80), secure, path)


class Connection(asyncio.Protocol):
    """Callbacks of the transport and of the parser; `post` waits for the status between them."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.parser: httptools.HttpResponseParser | None = None
        self.answer: asyncio.Future[int] | None = None
        self.reusable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's transport is no subclass

    def data_received(self, data: bytes) -> None:
        if self.parser is None:
            self.close()
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"not HTTP: {error}"))
            self.close()

    def on_message_complete(self) -> None:
        assert self.parser is not None
        self.reusable = self.parser.should_keep_alive()
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(self.parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self.transport = None
        self._fail(ConnectionError("the receiver closed the connection"))

    def _fail(self, error: Exception) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)

    def close(self) -> None:
        """Close it; a post under way fails with ConnectionError."""
        self.reusable = False
        if self.transport is not None:
            self.transport.close()

    async def post(self, head: bytes, body: bytes, timeout_seconds: float) -> int:
        """Send one request and return the status of the answer.

        Raises:
            ConnectionError: it was closed, or the answer is not HTTP.
            TimeoutError: no answer in time.
        """
        if self.transport is None:
            raise ConnectionError("the connection is closed")
        self.parser = httptools.HttpResponseParser(self)
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(head + body)
        return await asyncio.wait_for(self.answer, timeout_seconds)


@dataclass(slots=True)
class Connections:
    """Idle connections by receiver."""

    idle: dict[tuple[str, int], list[Connection]] = field(default_factory=dict)

    async def post(self, url: str, headers: bytes, body: bytes, timeout_seconds: float) -> int:
        """The status of the answer; raises OSError or TimeoutError when there is none."""
        target = Target.of(url)
        connection = self._take_idle(target)
        if connection is None:
            connection = await asyncio.wait_for(_open(target), timeout_seconds)
        head = b"POST %b HTTP/1.1\r\nHost: %b:%d\r\nContent-Length: %d\r\n%b\r\n" % (
            target.path.encode(),
            target.host.encode(),
            target.port,
            len(body),
            headers,
        )
        try:
            status = await connection.post(head, body, timeout_seconds)
        except BaseException:
            connection.close()
            raise
        if connection.reusable:
            self.idle.setdefault((target.host, target.port), []).append(connection)
        else:
            connection.close()
        return status

    def _take_idle(self, target: Target) -> Connection | None:
        waiting = self.idle.get((target.host, target.port), [])
        while waiting:
            connection = waiting.pop()
            if connection.transport is not None and not connection.transport.is_closing():
                return connection
        return None


async def _open(target: Target) -> Connection:
    context = ssl.create_default_context() if target.secure else None
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, target.host, target.port, ssl=context)
    return connection
