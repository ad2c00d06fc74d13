"""Deliveries on their way: signed anew at each attempt, retried on anything but 2xx, several at once but bounded.

What is due waits in memory only as a number; the row is the truth. A restart loads every pending row again, and an
answer that was not yet written down is delivered once more: at least once, as at Stripe. Results are written in
batches.
"""

import asyncio
import hmac
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from .. import VERSION
from .connection import Connections
from .outbox import Endpoint, Outbox

_BATCH = 64
_BATCH_SECONDS = 0.1
_NEVER_AGAIN = 1_000_000  # an attempt number past every schedule of retries


@dataclass(frozen=True, slots=True)
class Result:
    """One attempt: the HTTP status, or the error if none came."""

    delivery: int
    event: int
    attempt: int
    status: int | None
    error: str | None
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether the status is 2xx."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(slots=True)
class Dispatcher:
    """Sends what is due, several at once (`webhook_concurrency`); delivery and event are named by their sequence."""

    outbox: Outbox
    due: asyncio.Queue[tuple[int, int]] = field(default_factory=asyncio.Queue)
    results: list[Result] = field(default_factory=list)
    connections: Connections = field(default_factory=Connections)
    generation: int = 0

    def send_fresh(self) -> None:
        """After each commit: what the transaction left in the outbox is on its way."""
        if self.outbox.fresh:
            for due_at, delivery in self.outbox.take_fresh():
                self._wait(due_at, delivery)

    def _wait(self, due_at: float, delivery: int) -> None:
        seconds, waiting = due_at - time.time(), (self.generation, delivery)
        if seconds <= 0:
            self.due.put_nowait(waiting)
        else:
            asyncio.get_running_loop().call_later(seconds, self.due.put_nowait, waiting)

    def forget(self) -> None:
        """After a reset row numbers begin again: what still waits or flies must not meet a new row of its number."""
        self.generation += 1
        self.results.clear()

    async def run(self) -> None:
        """Deliver until cancelled; first whatever was pending at the last end."""
        rows = self.outbox.store.execute(
            "SELECT due_at, sequence FROM deliveries WHERE state = 'pending' ORDER BY sequence"
        )
        for due_at, delivery in rows.fetchall():
            self._wait(due_at, delivery)
        workers = [self._work() for _ in range(self.outbox.settings.webhook_concurrency)]
        await asyncio.gather(self._write_results_now_and_then(), *workers)

    async def _work(self) -> None:
        while True:
            generation, delivery = await self.due.get()
            if generation == self.generation:
                await self._attempt(delivery)

    async def _attempt(self, delivery: int) -> None:
        row = self.outbox.store.execute(
            "SELECT d.event, d.endpoint, d.attempts, d.interference, e.body FROM deliveries AS d"
            " JOIN events AS e ON e.sequence = d.event WHERE d.sequence = ? AND d.state <> 'dropped'",
            (delivery,),
        ).fetchone()
        if row is None:
            return
        event, endpoint_id, attempts, interference, body = row
        attempt = attempts + 1
        endpoint = self.outbox.endpoints.get(endpoint_id)
        if endpoint is None or not endpoint.enabled:
            gone = "the endpoint is disabled or deleted"
            self._note(Result(delivery, event, _NEVER_AGAIN, None, gone, 0.0))
            return
        headers = _headers(endpoint, body, orjson.loads(interference) if interference else {}, attempt)
        started, generation = time.monotonic(), self.generation
        status, error = None, None
        try:
            status = await self.connections.post(
                endpoint.url, headers, body, self.outbox.settings.webhook_timeout_seconds
            )
        except (OSError, TimeoutError) as trouble:
            error = f"{type(trouble).__name__}: {trouble}"
        if generation == self.generation:
            self._note(Result(delivery, event, attempt, status, error, time.monotonic() - started))

    def _note(self, result: Result) -> None:
        self.results.append(result)
        retries = self.outbox.settings.webhook_retry_seconds
        if len(self.results) >= _BATCH:
            self.write_results()
        if not result.succeeded and result.attempt <= len(retries):
            self._wait(time.time() + retries[result.attempt - 1], result.delivery)

    async def _write_results_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_BATCH_SECONDS)
            self.write_results()

    def write_results(self) -> None:
        """Write down all results so far, in one transaction."""
        if not self.results:
            return
        results, self.results = self.results, []
        with self.outbox.store.transaction():
            for result in results:
                self._write(result)

    def _write(self, result: Result) -> None:
        execute, now = self.outbox.store.execute, time.time()
        retries = self.outbox.settings.webhook_retry_seconds
        last = result.attempt > len(retries)
        state = "succeeded" if result.succeeded else "failed" if last else "pending"
        due_at = now if result.succeeded or last else now + retries[result.attempt - 1]
        changed = execute(
            "UPDATE deliveries SET state = ?, attempts = ?, last_status = ?, last_error = ?, due_at = ?"
            " WHERE sequence = ? AND state = 'pending'",
            (state, result.attempt, result.status, result.error, due_at, result.delivery),
        ).rowcount
        if changed and result.succeeded:
            execute("UPDATE events SET pending = pending - 1 WHERE sequence = ?", (result.event,))
        execute(
            "INSERT INTO attempts (at, delivery, status, error, seconds) VALUES (?, ?, ?, ?, ?)",
            (now, result.delivery, result.status, result.error, result.seconds),
        )


def _headers(endpoint: Endpoint, body: bytes, interference: dict[str, Any], attempt: int) -> bytes:
    signed_at, secrets = int(time.time()), endpoint.secrets
    old, wrong = interference.get("webhook_old_timestamp"), interference.get("webhook_wrong_signature")
    if old is not None and attempt <= int(old.get("attempts", 1)):
        signed_at -= int(old.get("age_seconds", 600))
    if wrong is not None and attempt <= int(wrong.get("attempts", 1)):
        secrets = ("whsec_not_the_secret",)
    signature = ",".join(f"v1={sign(secret, signed_at, body)}" for secret in secrets)
    return (
        f"Content-Type: application/json; charset=utf-8\r\nUser-Agent: Stripe/1.0 (emulator {VERSION})\r\n"
        f"Accept: */*\r\nStripe-Signature: t={signed_at},{signature}\r\n"
    ).encode()


def sign(secret: str, signed_at: int, body: bytes) -> str:
    """The `v1` signature: HMAC-SHA256 over `<timestamp>.<body>`. Source: docs.stripe.com/webhooks/signature."""
    return hmac.new(secret.encode(), b"%d.%b" % (signed_at, body), sha256).hexdigest()
