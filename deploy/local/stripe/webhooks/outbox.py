"""Events are written here, in the transaction of the change they report, with one delivery row per endpoint.

The snapshot is kept as the bytes that will be signed and never changes. After the commit the fresh deliveries go to the
dispatcher; after a rollback they are forgotten with the rows.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from .. import API_VERSION, PLATFORM
from ..faults import FaultRule, FaultRules
from ..settings import Settings
from ..state.clock import Clock
from ..state.identifiers import Identifiers
from ..state.recorder import Origin
from ..state.store import Store
from ..wire.errors import Json


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as deliveries need it; `connect` ones get the events of all connected accounts."""

    id: str
    account: str
    url: str
    secrets: tuple[str, ...]
    enabled_events: frozenset[str]
    connect: bool
    enabled: bool

    def wants(self, event_type: str, account: str) -> bool:
        """Whether it is subscribed to this type, of this account."""
        from_its_side = account != PLATFORM if self.connect else account == self.account
        return self.enabled and from_its_side and bool(self.enabled_events & {"*", event_type})


@dataclass(slots=True)
class Outbox:
    """Writes events; `fresh` are deliveries that the dispatcher has not taken yet."""

    settings: Settings
    store: Store
    clock: Clock
    identifiers: Identifiers
    faults: FaultRules
    fresh: list[tuple[float, int]] = field(default_factory=list)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store.rolled_back.append(self.fresh.clear)
        self.load_endpoints()

    def load_endpoints(self) -> None:
        """Endpoints are few and asked at every event, so they are kept in memory; called after each change of one."""
        rows = self.store.execute("SELECT account, body, private FROM objects WHERE kind = 'webhook_endpoint'")
        found = [_endpoint(account, orjson.loads(body), orjson.loads(private)) for account, body, private in rows]
        self.endpoints = {endpoint.id: endpoint for endpoint in found}

    def emit(self, account: str, event_type: str, snapshot: Json, origin: Origin, previous: Json | None = None) -> None:
        """Write an event and its deliveries. `snapshot` is the object as it is now, `previous` the old values of what
        changed (`data.previous_attributes`), `origin` the request that caused it.
        """
        data: Json = {"object": snapshot}
        if previous is not None:
            data["previous_attributes"] = previous
        event_id = self.identifiers.new("evt")
        fired = self.faults.for_event(event_type, account, event_id)
        self._write(account, event_type, data, origin, event_id=event_id, fired=fired)
        if any(rule.effect == "webhook_twin" for rule in fired):
            self._write(account, event_type, data, origin, event_id=self.identifiers.new("evt"), fired=[])

    def _write(
        self, account: str, event_type: str, data: Json, origin: Origin, *, event_id: str, fired: list[FaultRule]
    ) -> None:
        receivers = [endpoint for endpoint in self.endpoints.values() if endpoint.wants(event_type, account)]
        event: Json = {
            "id": event_id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.clock.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": len(receivers),
            "request": {"id": origin.request_id, "idempotency_key": origin.idempotency_key},
            "type": event_type,
        }
        if account != PLATFORM:
            event["account"] = account
        sequence = self.store.execute(
            "INSERT INTO events (account, id, type, created, pending, body) VALUES (?, ?, ?, ?, ?, ?)",
            (account, event_id, event_type, event["created"], len(receivers), orjson.dumps(event)),
        ).lastrowid
        for endpoint in receivers:
            self._address(sequence or 0, endpoint, fired)

    def _address(self, event: int, endpoint: Endpoint, fired: list[FaultRule]) -> None:
        interference = {rule.effect: rule.details for rule in fired}
        due_at = time.time() + self.settings.webhook_delay_ms / 1000 + self._delay(interference)
        state = "dropped" if "webhook_drop" in interference else "pending"
        sequence = self.store.execute(
            "INSERT INTO deliveries (event, endpoint, state, due_at, interference) VALUES (?, ?, ?, ?, ?)",
            (event, endpoint.id, state, due_at, orjson.dumps(interference) if interference else None),
        ).lastrowid
        if state == "pending":
            copies = interference["webhook_duplicate"].get("copies", 2) if "webhook_duplicate" in interference else 1
            self.fresh.extend([(due_at, sequence or 0)] * int(copies))

    def _delay(self, interference: dict[str, Any]) -> float:
        seconds = 0.0
        if "webhook_delay" in interference:
            seconds += float(interference["webhook_delay"].get("seconds", 1))
        if "webhook_shuffle" in interference:
            seconds += self.identifiers.random.random() * float(interference["webhook_shuffle"].get("seconds", 1))
        return seconds

    def take_fresh(self) -> list[tuple[float, int]]:
        """The deliveries that were written since the last call: (due in seconds since 1970, sequence)."""
        taken = self.fresh.copy()
        self.fresh.clear()
        return taken


def _endpoint(account: str, body: Json, private: Json) -> Endpoint:
    return Endpoint(
        id=body["id"],
        account=account,
        url=body["url"],
        secrets=tuple(private["secrets"]),
        enabled_events=frozenset(body["enabled_events"]),
        connect=private["connect"],
        enabled=body["status"] == "enabled",
    )
