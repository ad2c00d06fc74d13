"""The memory of idempotency keys, per account, for 24 hours of emulator time.

A key is `running` (in memory: a crash frees it, because nothing was committed) or stored with the status and the body
of its first request. The fingerprint covers method, path and parameters; past 24 hours the key is a new operation, as
at Stripe, which is exactly the danger the fleet must be tested against.
"""

from dataclasses import dataclass, field
from hashlib import blake2b

import orjson

from ..wire.errors import Json, key_in_use, key_reused
from .clock import Clock
from .store import Store

LIFETIME_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Stored:
    """The first answer under a key, as it will be replayed."""

    status: int
    body: bytes
    request_id: str
    headers: dict[str, str]


@dataclass(slots=True)
class IdempotencyKeys:
    """Keys by account. Source: docs.stripe.com/api/idempotent_requests."""

    store: Store
    clock: Clock
    running: set[tuple[str, str]] = field(default_factory=set)

    def look_up(self, account: str, key: str, fingerprint: str) -> Stored | None:
        """The stored answer, or None for a new operation; raises if the key runs or was used for something else."""
        if (account, key) in self.running:
            raise key_in_use(key)
        row = self.store.execute(
            "SELECT fingerprint, first_used, status, body, request_id, headers FROM idempotency_keys"
            " WHERE key = ? AND account = ?",
            (key, account),
        ).fetchone()
        if row is None or row[1] + LIFETIME_SECONDS <= self.clock.precise():
            return None
        if row[0] != fingerprint:
            raise key_reused(key)
        return Stored(row[2], row[3], row[4], orjson.loads(row[5]) if row[5] else {})

    def remember(self, account: str, key: str, fingerprint: str, answer: Stored) -> None:
        """Store the answer in the transaction of its effect."""
        headers = orjson.dumps(answer.headers) if answer.headers else None
        self.store.execute(
            "INSERT OR REPLACE INTO idempotency_keys"
            " (account, key, fingerprint, first_used, request_id, status, body, headers)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (account, key, fingerprint, self.clock.precise(), answer.request_id, answer.status, answer.body, headers),
        )

    def prune(self) -> None:
        """Only saves space: an old key is already ignored by `look_up`."""
        horizon = self.clock.precise() - LIFETIME_SECONDS
        self.store.execute("DELETE FROM idempotency_keys WHERE first_used <= ?", (horizon,))


def fingerprint_of(method: str, path: str, raw: Json) -> str:
    """A hash of what was asked; the same for parameters in another order."""
    canonical = orjson.dumps([method, path, raw], option=orjson.OPT_SORT_KEYS)
    return blake2b(canonical, digest_size=16).hexdigest()
