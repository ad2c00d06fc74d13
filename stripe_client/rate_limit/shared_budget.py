"""The shared budget of requests to Stripe, as it lies in Valkey. It knows no Stripe key; the ops console reads it too.

Two kinds of buckets: one for the account, one for each endpoint family; a permit takes a token from both, atomically,
in one round trip (shared_budget.lua). Three rules decide who gets the next token:

- Each asker may draw a bucket down to its own floor only: refunds and captures to the ground, charges to a quarter, so
  that a refund always finds a token. Beyond three quarters of the rate refunds queue like the others.
- Tenants who asked in the last seconds share what flows in equally. Who is beyond its share may borrow only above half
  of the bucket, so that whoever is not finds tokens ready; a tenant alone has everything.
- A 429 halves the rate of the bucket that its reason names. It comes back along a cubic (RFC 9438): fast at first, slow
  near the rate that was too much, then faster again, because that limit may be gone.

Whoever gets none is told when to come back: each refused asker of a tenant a later time, at the tenant's own pace.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Self, cast
from uuid import UUID

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from messages.runtime.priority import Requester

ACCOUNT = "account"
PLATFORM = "platform"  # who asks for no tenant
# Longer than any answer of a healthy server, and short enough to be waited for by every thread of a worker at once.
TIMEOUT_SECONDS = 0.2
# The same figures as in shared_budget.lua.
RECOVERY_SECONDS = 6.0
MEASURED_SECONDS = 3.0
ACTIVE_SECONDS = 3.0
LONGEST_SLOT_SECONDS = 120.0
_EPOCH = 1_700_000_000


def learned(base: float, cut_rate: float | None, age_seconds: float) -> float:
    """The rate so long after a cut at `cut_rate`; the same curve as in shared_budget.lua."""
    if cut_rate is None:
        return base
    x = age_seconds / RECOVERY_SECONDS - 1
    return min(base, max(1.0, base / 10, cut_rate * (1 + 0.5 * x**3)))


@dataclass(frozen=True, slots=True)
class Grant:
    """`granted` permits, or none and a time to come back. `processes` share the budget; None: not counted."""

    granted: int
    wait_seconds: float
    processes: int | None


@dataclass(frozen=True, slots=True)
class TenantRate:
    """Permits a second of the last seconds; `tenant_id` is None for the platform's own work."""

    tenant_id: UUID | None
    per_second: float


@dataclass(frozen=True, slots=True)
class BucketState:
    """How one bucket stands; `limited` counts its 429s of the last day."""

    name: str
    base_per_second: float
    learned_per_second: float
    used_per_second: float
    limited: int
    cut_seconds_ago: float | None
    tenants: tuple[TenantRate, ...]


class SharedBudget:
    """All methods raise redis.RedisError or OSError while the server is away; the callers go on without it."""

    def __init__(self, client: "redis.Redis", *, name: str = "stripe") -> None:
        self._client = client
        self._prefix = f"{{{name}}}"  # one hash slot, should it ever be a cluster
        self._script = (files("stripe_client.rate_limit") / "shared_budget.lua").read_bytes()
        self._sha = str(client.register_script(self._script).sha)
        self._keys: dict[tuple[str, str], tuple[str, ...]] = {}

    @classmethod
    def at(cls, url: str, *, name: str = "stripe") -> Self:
        """One try and a short patience: whoever asks has something better to do without an answer."""
        client = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        return cls(client, name=name)

    def take(self, family: str, asker: Requester, count: int, bases: Sequence[float], process: str = "") -> Grant:
        """Up to `count` permits. `bases`: requests a second of the account, then of the family, when nothing is cut."""
        tenant = str(asker.tenant_id or PLATFORM)
        keys = self._keys_of(family, tenant)
        granted, told_ms, processes = self._run(keys, "take", tenant, asker.urgency.value, count, process, *bases)
        return Grant(granted, told_ms / 1000, processes if process else None)

    def cut(self, bucket: str, base: float) -> bool:
        """A 429 named this bucket. False when it was cut within the last second: one burst is one event."""
        return bool(self._run((f"{self._prefix}:state:{bucket}",), "cut", base))

    def look(self) -> list[BucketState]:
        """Every bucket that was used within a day, the account first."""
        prefix = f"{self._prefix}:state:"
        members = cast("set[bytes]", self._client.smembers(f"{self._prefix}:buckets"))
        names = sorted(member.decode().removeprefix(prefix) for member in members)
        seconds, microseconds = self._client.time()
        now = seconds - _EPOCH + microseconds / 1e6
        bucket_states = [self._look_at(name, now) for name in sorted(names, key=lambda name: (name != ACCOUNT, name))]
        return [state for state in bucket_states if state is not None]

    def ping(self) -> None:
        """Return when it answers; raises redis.RedisError or OSError."""
        self._client.ping()

    def close(self) -> None:
        self._client.close()

    def _look_at(self, name: str, now: float) -> BucketState | None:
        state = _numbers(cast("dict[bytes, bytes]", self._client.hgetall(f"{self._prefix}:state:{name}")))
        if "base" not in state:  # a day without use, and its row has expired
            return None
        byteses = cast(
            "list[bytes]", self._client.zrangebyscore(f"{self._prefix}:active:{name}", now - ACTIVE_SECONDS, now)
        )
        tenants = [(tenant.decode(), self._use_of(name, tenant.decode(), now)) for tenant in byteses]
        cut_at, used = state.get("cut_at"), state.get("used", 0.0)
        age = None if cut_at is None else max(0.0, now - cut_at)
        return BucketState(
            name=name,
            base_per_second=state["base"],
            learned_per_second=learned(state["base"], state.get("cut_rate"), age or 0.0),
            used_per_second=_per_second(used, now - state["at"]),
            limited=int(state.get("limited", 0)),
            cut_seconds_ago=age,
            tenants=tuple(
                TenantRate(None if tenant == PLATFORM else UUID(tenant), per_second)
                for tenant, per_second in sorted(tenants, key=lambda pair: -pair[1])
            ),
        )

    def _use_of(self, bucket: str, tenant: str, now: float) -> float:
        mine = _numbers(cast("dict[bytes, bytes]", self._client.hgetall(f"{self._prefix}:tenant:{bucket}:{tenant}")))
        return _per_second(mine.get("used", 0.0), now - mine.get("at", now))

    def _keys_of(self, family: str, tenant: str) -> tuple[str, ...]:
        strs = self._keys.get((family, tenant))
        if strs is None:
            parts = [
                f"{self._prefix}:{part}"
                for name in (ACCOUNT, family)
                for part in (f"state:{name}", f"active:{name}", f"tenant:{name}:{tenant}")
            ]
            strs = (f"{self._prefix}:processes", f"{self._prefix}:buckets", *parts)
            if len(self._keys) > 10_000:
                self._keys.clear()
            self._keys[family, tenant] = strs
        return strs

    def _run(self, keys: Sequence[str], *words: str | float) -> Any:
        try:
            return self._client.evalsha(self._sha, len(keys), *keys, *words)
        except NoScriptError:  # a restarted server has forgotten it
            return self._client.eval(self._script.decode(), len(keys), *keys, *words)


def _numbers(row: Mapping[bytes, bytes]) -> dict[str, float]:
    return {name.decode(): float(value) for name, value in row.items()}


def _per_second(used: float, age_seconds: float) -> float:
    """The decaying count as a rate."""
    return used * math.exp(-max(0.0, age_seconds) / MEASURED_SECONDS) / MEASURED_SECONDS
