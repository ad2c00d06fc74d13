"""What was asked and what it did: the truth that the project's checker compares everything else with.

One row per API request, also for those that never got an answer, and one per effect on money, written in the
transaction that makes the effect. No authorization header, body or secret is ever kept: parameters are only a
fingerprint.
"""

import time
from dataclasses import dataclass
from typing import Any

import orjson

from ..wire.errors import Json
from .clock import Clock
from .store import Store

_COLUMNS = {
    "requests": "at, clock, method, path, account, key, fingerprint, status, replayed, fault, request_id",
    "effects": "at, clock, kind, object_id, payment_intent, amount, currency, account, request_id, key, metadata",
    "firings": "at, rule, effect, target, request_id",
    "attempts": "at, delivery, status, error, seconds",
    "deliveries": "event, endpoint, state, attempts, last_status, last_error, due_at",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """The API call behind an event or an effect; both None when Stripe acts by itself."""

    request_id: str | None = None
    idempotency_key: str | None = None


@dataclass(slots=True)
class Recorder:
    """Rows are only added; a reset empties them."""

    store: Store
    clock: Clock

    def request(
        self,
        method: str,
        path: str,
        request_id: str,
        *,
        account: str | None = None,
        key: str | None = None,
        fingerprint: str | None = None,
        status: int | None = None,
        replayed: bool = False,
        fault: str | None = None,
    ) -> None:
        """`status` is what was decided; whether it reached the client is said by `fault`. None: never executed."""
        self.store.execute(
            "INSERT INTO requests (at, clock, method, path, account, key, fingerprint, status, replayed, fault,"
            " request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                time.time(),
                self.clock.precise(),
                method,
                path,
                account,
                key,
                fingerprint,
                status,
                replayed,
                fault,
                request_id,
            ),
        )

    def effect(self, kind: str, account: str, made: Json, amount_minor: int, origin: Origin) -> None:
        """Money has moved, or a hold has: `made` is the object that did it, `amount_minor` how much."""
        metadata = made.get("metadata")
        self.store.execute(
            "INSERT INTO effects (at, clock, kind, object_id, payment_intent, amount, currency, account, request_id,"
            " key, metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                time.time(),
                self.clock.precise(),
                kind,
                made["id"],
                made.get("payment_intent"),
                amount_minor,
                made["currency"],
                account,
                origin.request_id,
                origin.idempotency_key,
                orjson.dumps(metadata) if metadata else None,
            ),
        )

    def firing(self, rule: str, effect: str, target: str, request_id: str | None) -> None:
        """A fault rule has fired at `target`: a method and path, or an event type and id."""
        self.store.execute(
            "INSERT INTO firings (at, rule, effect, target, request_id) VALUES (?, ?, ?, ?, ?)",
            (time.time(), rule, effect, target, request_id),
        )

    def page(self, table: str, after: int, limit: int) -> list[Json]:
        """Rows of one table in order of sequence, from after `after` on."""
        columns = f"sequence, {_COLUMNS[table]}"
        rows = self.store.execute(
            f"SELECT {columns} FROM {table} WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (after, limit),
        )
        return [_as_json(columns.split(", "), row) for row in rows]


def _as_json(columns: list[str], row: tuple[Any, ...]) -> Json:
    named = dict(zip(columns, row, strict=True))
    if named.get("metadata") is not None:
        named["metadata"] = orjson.loads(named["metadata"])
    if "replayed" in named:
        named["replayed"] = bool(named["replayed"])
    return named
