"""What N orders a second need, and what breaks first. A rule: the measured table and the manifests' bounds in, figures
out.

Everything measured stands in measured.json with the command that made it. What could not be measured is ASSUMED and
said: how long Stripe takes to answer, how full a core may be, and which part of a worker's CPU is the charge.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deploy.scaling.policy import Policy, read_policies

MEASURED = Path(__file__).with_name("measured.json")
THREADS = 8
SHARE_OF_CHARGES = 0.6  # of the workers' CPU for a payment, ASSUMED; the rest is its webhook and what follows
FULLEST = 0.6  # of a core: beyond it queues grow faster than work
MOST_SEARCHED = 1_000_000  # orders a second
# A connection each for the threads of a worker, its ringer and its doorbell; for others the pool's usual size.
CONNECTIONS = {"workers": THREADS + 2, "intake-http": 12, "intake-orders": 3, "relay": 4, "scheduler": 2, "console": 6}


@dataclass(frozen=True, slots=True)
class Site:
    """What there is. Limits are Stripe's, requests a second; cores are those of database and broker.

    `recipients`: how many of an order have an account at Stripe, and get a transfer each.
    """

    stripe_per_second: float = 100.0
    stripe_endpoint_per_second: float = 25.0
    stripe_seconds: float = 0.68
    database_cores: float = 4.0
    broker_cores: float = 2.0
    database_connections: int = 300
    recipients: float = 1.0


@dataclass(frozen=True, slots=True)
class Bound:
    """`most_per_second` is how many orders a second this part stands, with cores at most `FULLEST`.

    `can_wait`: no buyer waits for it, so it lags behind a sale and breaks nothing.
    """

    name: str
    needed: str
    there_is: str
    most_per_second: float
    advice: str
    can_wait: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    orders_per_second: float
    pods: dict[str, int]
    bounds: list[Bound]
    database: dict[str, float]
    assumed: dict[str, float] = field(default_factory=dict)

    @property
    def breaks_first(self) -> Bound:
        return min((each for each in self.bounds if not each.can_wait), key=lambda bound: bound.most_per_second)

    @property
    def holds(self) -> bool:
        return self.breaks_first.most_per_second >= self.orders_per_second

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "breaks_first": self.breaks_first.name, "holds": self.holds}


def measured() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(MEASURED.read_text())
    return found


def plan(rate: float, site: Site, costs: Mapping[str, Any], policies: Mapping[str, Policy] | None = None) -> Plan:
    policies = policies or read_policies()
    cpu = _cpu(site, costs)
    most_background = policies["workers-background"].most
    pods = _pods(rate, site, cpu, most_background)
    return Plan(
        orders_per_second=rate,
        pods=pods,
        bounds=[
            *_stripe(rate, site, costs),
            *_transfers(rate, site, costs, cpu, most_background),
            *_workers(rate, site, cpu, policies),
            _cores("PostgreSQL CPU", rate, cpu["PostgreSQL"], site.database_cores, "a larger server, or fewer commits"),
            _cores("RabbitMQ CPU", rate, cpu["RabbitMQ"], site.broker_cores, "more cores; queues spread over nodes"),
            _cores("relay CPU", rate, cpu["relay"], policies["relay"].most, "more relays share the lanes"),
            _connections(rate, site, cpu, most_background),
        ],
        database={
            "commits_per_second": round(rate * costs["database"]["commits"], 1),
            "wal_mib_per_second": round(rate * costs["database"]["wal_bytes"] / 2**20, 2),
            "kept_gib_per_million_payments": round(costs["database"]["bytes_kept"] * 1e6 / 2**30, 1),
        },
        assumed={"stripe_seconds": site.stripe_seconds, "fullest": FULLEST, "share_of_charges": SHARE_OF_CHARGES},
    )


def _cpu(site: Site, costs: Mapping[str, Any]) -> dict[str, float]:
    """Seconds an order by process family, transfers included; of the workers apart: `workers`, `transfers`."""
    payment, transfer = costs["cpu_ms_per_payment"], costs["cpu_ms_per_transfer"]
    every = {part: (ms + site.recipients * transfer.get(part, 0.0)) / 1e3 for part, ms in payment.items()}
    return every | {"workers": payment["workers"] / 1e3, "transfers": site.recipients * transfer["workers"] / 1e3}


def _pods(rate: float, site: Site, cpu: Mapping[str, float], most_background: int) -> dict[str, int]:
    """Two of each at least: one may die, and one may be rolled. Background work can wait, and gets what it may have."""
    charging = _charges_per_pod(site, cpu)
    webhooks = FULLEST / (cpu["workers"] * (1 - SHARE_OF_CHARGES))
    return {
        "workers-charges": max(2, math.ceil(rate / charging)),
        "workers-webhooks": max(2, math.ceil(rate / webhooks)),
        "workers-refunds": 2,
        "workers-background": min(most_background, max(2, math.ceil(rate / _orders_per_background_pod(site, cpu)))),
        "intake-orders": max(2, math.ceil(rate * cpu["intake-orders"] / FULLEST)),
        "intake-http": max(2, math.ceil(rate * cpu["intake-http"] / FULLEST)),
        "relay": max(2, math.ceil(rate * cpu["relay"] / FULLEST)),
        "scheduler": 2,
        "minter": 2,
        "dead-letters": 1,
        "console": 2,
    }


def _charges_per_pod(site: Site, cpu: Mapping[str, float]) -> float:
    """A second: threads wait for Stripe, and one core serves them all."""
    own = cpu["workers"] * SHARE_OF_CHARGES
    return min(THREADS / (site.stripe_seconds + own), FULLEST / own)


def _orders_per_background_pod(site: Site, cpu: Mapping[str, float]) -> float:
    """Orders a second whose transfers one pod makes."""
    if not site.recipients:
        return math.inf
    return min(THREADS / (site.recipients * site.stripe_seconds + cpu["transfers"]), FULLEST / cpu["transfers"])


def _stripe(rate: float, site: Site, costs: Mapping[str, Any]) -> list[Bound]:
    requests, more = costs["stripe_requests_per_payment"], costs["stripe_requests_per_transfer"]
    busiest = max(requests.values())
    everything = sum(requests.values()) + site.recipients * sum(more.values())
    return [
        Bound(
            "Stripe, the endpoint that charges",
            f"{rate * busiest:.0f} requests/s",
            f"{site.stripe_endpoint_per_second:.0f}/s",
            site.stripe_endpoint_per_second / busiest,
            "ask Stripe to raise it before the sale, then STRIPE_ENDPOINT_REQUESTS_PER_SECOND",
        ),
        Bound(
            "Stripe, the account",
            f"{rate * everything:.0f} requests/s",
            f"{site.stripe_per_second:.0f}/s",
            site.stripe_per_second / everything,
            "ask Stripe to raise it before the sale, then STRIPE_REQUESTS_PER_SECOND",
        ),
    ]


def _transfers(rate: float, site: Site, costs: Mapping[str, Any], cpu: Mapping[str, float], pods: int) -> list[Bound]:
    """Of an order whose recipients have accounts."""
    if not site.recipients:
        return []
    requests = site.recipients * max(costs["stripe_requests_per_transfer"].values())
    each = _orders_per_background_pod(site, cpu)
    return [
        Bound(
            "Stripe, the endpoint of transfers",
            f"{rate * requests:.0f} requests/s",
            f"{site.stripe_endpoint_per_second:.0f}/s",
            site.stripe_endpoint_per_second / requests,
            "nothing: shares wait in order; or ask Stripe to raise it",
            can_wait=True,
        ),
        Bound(
            "workers-background",
            f"{math.ceil(rate / each)} pods",
            f"at most {pods}",
            pods * each,
            "nothing: shares wait in order; or raise maxReplicaCount in deploy/kubernetes/base/scaling.yaml",
            can_wait=True,
        ),
    ]


def _workers(rate: float, site: Site, cpu: Mapping[str, float], policies: Mapping[str, Policy]) -> list[Bound]:
    charging = _charges_per_pod(site, cpu)
    webhooks = FULLEST / (cpu["workers"] * (1 - SHARE_OF_CHARGES))
    return [
        Bound(
            name,
            f"{math.ceil(rate / each)} pods",
            f"at most {policies[name].most}",
            policies[name].most * each,
            "raise maxReplicaCount in deploy/kubernetes/base/scaling.yaml",
        )
        for name, each in (("workers-charges", charging), ("workers-webhooks", webhooks))
    ]


def _cores(name: str, rate: float, seconds: float, cores: float, advice: str) -> Bound:
    return Bound(name, f"{rate * seconds / FULLEST:.1f} cores", f"{cores:g}", cores * FULLEST / seconds, advice)


def _connections(rate: float, site: Site, cpu: Mapping[str, float], most_background: int) -> Bound:
    """Most pods become more with the rate, and each holds its connections: the most is searched, to a whole order."""
    fits, too_many = 0, MOST_SEARCHED
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if _held(_pods(middle, site, cpu, most_background)) <= site.database_connections:
            fits = middle
        else:
            too_many = middle
    return Bound(
        "PostgreSQL connections",
        f"{_held(_pods(rate, site, cpu, most_background))}",
        f"{site.database_connections}",
        float(fits),
        "raise max_connections, or lower DATABASE_POOL_SIZE",
    )


def _held(pods: Mapping[str, int]) -> int:
    """Connections to the database that so many pods hold."""
    each = {name: CONNECTIONS.get(name, CONNECTIONS["workers"] if name.startswith("workers") else 3) for name in pods}
    return sum(count * each[name] for name, count in pods.items())
