"""A small HTTP proxy in front of a chain's node, which misbehaves on request: the chain behind it stays sound.

with FaultyNode(url) as node:
    node.next("eth_sendRawTransaction", lose_answer)
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson
import urllib3

# What the proxy does with one request: given what was asked and a way to have it done, the HTTP status and the body;
# None hangs up without a word.
Answer = tuple[int, bytes] | None
Fault = Callable[[dict[str, Any], Callable[[], bytes]], Answer]


def lose_answer(_asked: dict[str, Any], forward: Callable[[], bytes]) -> Answer:
    """It is done, and nobody gets the answer."""
    forward()
    return None


def hang_up(_asked: dict[str, Any], _forward: Callable[[], bytes]) -> Answer:
    """It is not done."""
    return None


def too_many_requests(_asked: dict[str, Any], _forward: Callable[[], bytes]) -> Answer:
    return 429, b"slow down"


def bad_gateway(_asked: dict[str, Any], _forward: Callable[[], bytes]) -> Answer:
    return 502, b"<html>bad gateway</html>"


def error_although_done(asked: dict[str, Any], forward: Callable[[], bytes]) -> Answer:
    """FAULTS 35: the node says error, and the transaction is on its way."""
    forward()
    error = {"code": -32000, "message": "internal error"}
    return 200, orjson.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": error})


def forget(asked: dict[str, Any], _forward: Callable[[], bytes]) -> Answer:
    """The node says that it took the transaction, and has dropped it."""
    return 200, orjson.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": "0x" + "00" * 32})


def lie(result: object) -> Fault:
    """The node answers this, whatever is true."""

    def lying(asked: dict[str, Any], _forward: Callable[[], bytes]) -> Answer:
        return 200, orjson.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result})

    return lying


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed hangs up in the midst of a word."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class FaultyNode:
    """`next` arms faults for the coming requests of a method, `always` for all of them; `chance` asks for each one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=16, retries=False, timeout=20)
        self._armed: dict[str, deque[Fault]] = defaultdict(deque)
        self._standing: dict[str, Fault] = {}
        self.chance: Callable[[str], Fault | None] = lambda _method: None
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def next(self, method: str, *faults: Fault) -> None:
        with self._lock:
            self._armed[method].extend(faults)

    def always(self, method: str, fault: Fault) -> None:
        self._standing[method] = fault

    def heal(self) -> None:
        with self._lock:
            self._armed.clear()
            self._standing.clear()
        self.chance = lambda _method: None

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, body: bytes) -> Answer:
        asked = orjson.loads(body)
        fault = self._fault_for(asked["method"])
        return fault(asked, lambda: self._forward(body)) if fault else (200, self._forward(body))

    def _fault_for(self, method: str) -> Fault | None:
        with self._lock:
            if self._armed[method]:
                return self._armed[method].popleft()
        return self._standing.get(method) or self.chance(method)

    def _forward(self, body: bytes) -> bytes:
        answer = self._pool.request("POST", self._url, body=body, headers={"Content-Type": "application/json"})
        return answer.data

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        faulty = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes, and the second would wait for the first

            def do_POST(self) -> None:
                answer = faulty._answer(self.rfile.read(int(self.headers["Content-Length"])))
                if answer is None:
                    self.close_connection = True
                    return
                status, body = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *words: object) -> None:  # noqa: A002  the library's own word
                pass

        return Handler
