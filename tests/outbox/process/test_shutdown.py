"""Asked to stop at an awkward moment: while it starts, while nobody answers, while a client has sent half a request."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.stack.stack import CLONE
from deploy.local.stripe.process import free_port
from outbox.process.shutdown import EX_TEMPFAIL

TERM = 1 << (signal.SIGTERM - 1)
PROCESSES = ("outbox.relay", "workers.main")

HELD_UP = """
import threading, time
from outbox.process.shutdown import stop_on_signals
stop_on_signals(threading.Event(), patience_seconds=0.2)
while True: time.sleep(1)
"""
HALF_A_REQUEST = """
import sys, threading
from starlette.applications import Starlette
from starlette.routing import Route
from outbox.process import http_server
http_server.DRAIN_SECONDS = 0.2
async def read(request): await request.body()
from outbox.process.shutdown import stop_on_signals
stopping = threading.Event()
stop_on_signals(stopping)
app = Starlette(routes=[Route("/", read, methods=["POST"])])
http_server.listen(app, "test", stopping, host="127.0.0.1", port=int(sys.argv[1]))
print("asked to stop:", stopping.is_set())
"""


@contextmanager
def running(*words: str, **environment: str) -> "Iterator[subprocess.Popen[str]]":
    """As the first process of a container, which has no default for SIGTERM: what it does not catch is lost."""
    process = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; exec \"$@\"", "sh", sys.executable, *words],
        env={**os.environ, "APP_ENV": "test", **environment},
        cwd=CLONE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until_it_catches(process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 30
    while not _caught(process.pid) & TERM:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _caught(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)


@pytest.mark.parametrize("module", PROCESSES)
def test_a_process_that_waits_for_its_broker_leaves_when_it_is_asked_to(module: str) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    environment = {
        "DATABASE_URL": f"postgresql://fleet@{nowhere}/fleet",
        "RABBITMQ_URL": f"amqp://{nowhere}/",
        "REDIS_URL": f"redis://{nowhere}/0",
        "STRIPE_SECRET_KEY": "sk_test_0123456789",
        "DEAD_LETTER_PUBLIC_KEY": "9tB9Hkk3ipzK3yGD3Cb9yN3DdFzZb0eVbF3S7CeJ1gQ=",
        "DEAD_LETTER_PRIVATE_KEY": "9tB9Hkk3ipzK3yGD3Cb9yN3DdFzZb0eVbF3S7CeJ1gQ=",
    }
    with running("-m", module, **environment) as process:
        wait_until_it_catches(process)
        process.terminate()

        assert process.wait(20) == 0


def test_a_process_that_is_held_up_by_what_does_not_answer_leaves_at_the_end_of_its_patience() -> None:
    with running("-c", HELD_UP) as process:
        wait_until_it_catches(process)
        process.terminate()

        assert process.wait(20) == EX_TEMPFAIL
        assert "leaving" in process.communicate()[1]


def test_a_server_that_is_asked_to_stop_before_it_listens_to_signals_stops_all_the_same() -> None:
    asked = HALF_A_REQUEST.replace("stop_on_signals(stopping)", "stop_on_signals(stopping); stopping.set()")
    with running("-c", asked, str(free_port())) as process:
        assert process.wait(20) == 0


def test_a_client_that_has_sent_half_a_request_does_not_hold_back_the_end() -> None:
    port = free_port()
    with running("-c", HALF_A_REQUEST, str(port)) as process, _half_a_request(port):
        process.terminate()

        assert process.wait(20) == 0
        assert "asked to stop: True" in process.communicate()[0]


@contextmanager
def _half_a_request(port: int) -> Iterator[None]:
    deadline = time.monotonic() + 30
    while True:
        try:
            client = socket.create_connection(("127.0.0.1", port))
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    with client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: us\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n")
        assert b"100 Continue" in client.recv(1000)  # it has begun to read
        yield
