"""A wire between the fleet and PostgreSQL, cut at the one moment that matters: COMMIT is done and its answer lost."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_COMMIT = b"COMMIT\x00"  # how both the command and its answer end on the wire
_APPLICATION = re.compile(rb"application_name\x00([^\x00]+)\x00")
_CHUNK = 1 << 16


class CuttingWire:
    """Passes everything on. `lose_commit_answers` names an application and how many of its answers get lost."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.left = 0
        self._application = b""
        self._server_port = server_port

    def lose_commit_answers(self, application: str, times: int) -> None:
        self._application, self.left = application.encode(), times

    async def listen(self, started: threading.Event) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await server.serve_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:  # the server is down: so is the wire
            writer.close()
            return
        link = _Link(self)
        passing = [link.pass_on(reader, server_writer, link.sees_of_client)]
        passing.append(link.pass_on(server_reader, writer, link.sees_of_server))
        await asyncio.gather(*passing)

    def wants_to_cut(self, application: bytes) -> bool:
        if self.left and application == self._application:
            self.left -= 1
            return True
        return False


class _Link:
    """One connection: whose it is, and whether the next answer to COMMIT is to be lost."""

    def __init__(self, wire: CuttingWire) -> None:
        self._wire = wire
        self._application = b""
        self._cut = False

    async def pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, sees: object) -> None:
        assert callable(sees), "one of the two methods below"
        with contextlib.suppress(OSError):
            while (chunk := await source.read(_CHUNK)) and sees(chunk):
                target.write(chunk)
                await target.drain()
        target.close()

    def sees_of_client(self, chunk: bytes) -> bool:
        if found := _APPLICATION.search(chunk):
            self._application = found[1]
        if _COMMIT in chunk and self._wire.wants_to_cut(self._application):
            self._cut = True
        return True

    def sees_of_server(self, chunk: bytes) -> bool:
        return not (self._cut and _COMMIT in chunk)


@contextmanager
def cutting_wire(server_port: int) -> Iterator[CuttingWire]:
    wire, started, loop = CuttingWire(server_port), threading.Event(), asyncio.new_event_loop()
    listening = loop.create_task(wire.listen(started))

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(listening)

    thread = threading.Thread(target=run, name="wire", daemon=True)
    thread.start()
    started.wait()
    try:
        yield wire
    finally:
        loop.call_soon_threadsafe(listening.cancel)
        thread.join(5)
