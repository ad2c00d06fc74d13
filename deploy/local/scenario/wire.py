"""A wire: a TCP proxy between the fleet and one server, which can be cut, silenced, slowed, or lose single answers.

    with wire(5432) as postgres:
        postgres.cut()                                  # every connection ends at once, new ones are taken
        postgres.silence()                              # half open: nothing passes any more, and nobody is notified
        postgres.lose_commit_answers("fleet-worker", 3)

It passes bytes in a thread of its own. While the server is down, a new connection is taken and closed at once.
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_COMMIT = b"COMMIT\x00"  # how both PostgreSQL's command and its answer end on the wire
_APPLICATION = re.compile(rb"application_name\x00([^\x00]+)\x00")
_CHUNK = 1 << 16


class Wire:
    """`delay_seconds` and `answers_pass` hold for all links; the methods act on those that stand now."""

    def __init__(self, server_port: int, port: int) -> None:
        self.port = port
        self.delay_seconds = 0.0
        self.answers_pass = True
        self.commits_to_lose = 0
        self._application = b""
        self._server_port = server_port
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()

    def lose_commit_answers(self, application: str, times: int) -> None:
        """The next `times` transactions of that application commit, and its connections end before the answer."""
        self._application, self.commits_to_lose = application.encode(), times

    def cut(self) -> None:
        self._do(self._cut)

    def silence(self) -> None:
        self._do(self._silence)

    @property
    def held(self) -> int:
        """Disturbed links that their client has not closed."""
        return sum(1 for link in list(self._links) if link.disturbed and not link.client_left)

    def mend(self) -> None:
        """As before every fault; what was silenced is cut, as the kernels would in the end."""
        self.delay_seconds, self.answers_pass, self.commits_to_lose = 0.0, True, 0
        self._do(self._cut_disturbed)

    def _do(self, what: Callable[[], None]) -> None:
        """In the wire's own thread; returns when it is done."""
        done = threading.Event()

        def do() -> None:
            what()
            done.set()

        self._loop.call_soon_threadsafe(do)
        done.wait()

    def _cut(self) -> None:
        for link in list(self._links):
            link.cut()

    def _cut_disturbed(self) -> None:
        for link in list(self._links):
            if link.disturbed:
                link.cut()

    def _silence(self) -> None:
        for link in list(self._links):
            link.silence()

    def wants_to_lose(self, application: bytes) -> bool:
        if self.commits_to_lose and application == self._application:
            self.commits_to_lose -= 1
            return True
        return False

    def run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", self.port))
        started.set()
        self._loop.run_forever()
        server.close()
        for task in (left := asyncio.all_tasks(self._loop)):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def stop(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:  # the server is down, and so is the wire
            writer.close()
            return
        link = _Link(self, writer, server_writer)
        self._links.add(link)
        asking = asyncio.ensure_future(link.pass_on(reader, server_writer, link.may_ask))
        asking.add_done_callback(link.note_that_client_left)
        answering = link.pass_on(server_reader, writer, link.may_answer)
        await asyncio.gather(asking, answering)
        self._links.discard(link)


class _Link:
    """One connection: whose it is, and what is wrong with it."""

    def __init__(self, wire: Wire, *ends: asyncio.StreamWriter) -> None:
        self.disturbed = False
        self.client_left = False
        self._wire = wire
        self._ends = ends
        self._application = b""
        self._loses_answer = False
        self._silent = False

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()

    def silence(self) -> None:
        self._silent = self.disturbed = True

    def note_that_client_left(self, _: object) -> None:
        self.client_left = True

    async def pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, may_pass: Callable[[bytes], bool]
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(_CHUNK):
                if self._wire.delay_seconds:
                    await asyncio.sleep(self._wire.delay_seconds)
                if may_pass(chunk):
                    target.write(chunk)
                    await target.drain()
        if not self._silent:
            target.close()

    def may_ask(self, chunk: bytes) -> bool:
        if found := _APPLICATION.search(chunk):
            self._application = found[1]
        if _COMMIT in chunk and self._wire.wants_to_lose(self._application):
            self._loses_answer = True
        return not self._silent

    def may_answer(self, chunk: bytes) -> bool:
        if self._loses_answer and _COMMIT in chunk:
            self.cut()
            return False
        if not self._wire.answers_pass:
            self.disturbed = True
            return False
        return not self._silent


@contextmanager
def wire(server_port: int, port: int) -> Iterator[Wire]:
    """A wire from `port` to `server_port`."""
    made, started = Wire(server_port, port), threading.Event()
    thread = threading.Thread(target=made.run, args=(started,), name="wire", daemon=True)
    thread.start()
    started.wait()
    try:
        yield made
    finally:
        made.stop()
        thread.join(5)
