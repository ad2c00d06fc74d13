"""python -m deploy.local.bench.webhook_sender: reads a job from standard input, sends its events, writes the waits.

A process of its own, so that the bench's other work cannot delay it.
"""

import hashlib
import hmac
import http.client
import itertools
import json
import os
import sys
import threading
import time
from collections import defaultdict
from typing import Any
from urllib.parse import urlsplit

CONNECTIONS = 16


class Sender:
    """Threads that take the next due event, each with a connection of its own."""

    def __init__(self, job: dict[str, Any], secret: str) -> None:
        self._target = urlsplit(job["address"])
        self._bodies = _bodies(job)
        self._secret = secret.encode()
        self._pause = 1 / job["per_second"]
        self._next = itertools.count()
        self._started = time.perf_counter() + 0.3
        self.waits: dict[int, list[float]] = defaultdict(list)

    def run(self) -> None:
        threads = [threading.Thread(target=self._work) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        connection = http.client.HTTPConnection(self._target.hostname or "", self._target.port, timeout=30)
        connection.connect()
        while (number := next(self._next)) < len(self._bodies):
            due = self._started + number * self._pause
            time.sleep(max(0.0, due - time.perf_counter()))
            status = self._post(connection, self._bodies[number])
            self.waits[status].append((time.perf_counter() - due) * 1e3)
        connection.close()

    def _post(self, connection: http.client.HTTPConnection, body: bytes) -> int:
        headers = {"Content-Type": "application/json", "Stripe-Signature": self._signature(body)}
        connection.request("POST", self._target.path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def _signature(self, body: bytes) -> str:
        at = str(int(time.time()))
        digest = hmac.new(self._secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
        return f"t={at},v1={digest}"


def _bodies(job: dict[str, Any]) -> list[bytes]:
    """One event for each due time, made before the clock starts; the intents take turns."""
    bodies = []
    intents = itertools.cycle(job["intents"])
    for number in range(job["per_second"] * job["seconds"]):
        event = json.loads(job["template"])
        subject = event["data"]["object"]
        event["id"], subject["id"], subject["metadata"] = f"{job['run']}{number}", next(intents), {}
        bodies.append(json.dumps(event).encode())
    return bodies


if __name__ == "__main__":
    sender = Sender(json.load(sys.stdin), os.environ["STRIPE_WEBHOOK_SECRETS"].split(",")[0])
    sender.run()
    json.dump({str(status): waits for status, waits in sender.waits.items()}, sys.stdout)
