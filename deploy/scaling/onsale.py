"""An on-sale in simulated time: orders rush in, workers charge, Stripe lets so many through, the autoscaler decides.

What is simulated is the class `charges`: a worker is 8 threads over one core, as in the manifests; a thread asks for a
permit, waits for it at most 1.5 s or sends the message back to its slot, then calls Stripe. What is measured is our own
CPU (deploy/capacity/measured.json); how long Stripe takes is ASSUMED, log-normal, because only an emulator answers on
the machine where this was measured. The seconds from a wish to a ready pod are assumed as well.
"""

import math
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field
from random import Random
from statistics import quantiles
from typing import Any

import simpy

from deploy.capacity.plan import SHARE_OF_CHARGES, measured
from deploy.scaling.policy import SYNC_SECONDS, Autoscaler, Policy, read_policies

THREADS = 8
PERMIT_PATIENCE_SECONDS = 1.5  # stripe_client/rate_limit/limiter.py
LONGEST_SLOT_SECONDS = 120.0  # stripe_client/rate_limit/shared_budget.lua
RATE_WINDOW_SECONDS = 15.0  # over which the present pace is measured, for the time to drain


@dataclass(frozen=True, slots=True)
class OnSale:
    """Rises from 0 to `peak` within `ramp_seconds`, holds, then falls to `tail` orders a second until the end."""

    peak: float = 200.0
    ramp_seconds: float = 10.0
    hold_seconds: float = 60.0
    tail: float = 5.0
    seconds: float = 1_800.0

    def rate(self, at: float) -> float:
        if at < self.ramp_seconds:
            return self.peak * at / self.ramp_seconds
        return self.peak if at < self.ramp_seconds + self.hold_seconds else self.tail


def cpu_of_a_charge() -> float:
    """Seconds in its worker, from the measured table."""
    return float(measured()["cpu_ms_per_payment"]["workers"]) / 1e3 * SHARE_OF_CHARGES


@dataclass(frozen=True, slots=True)
class World:
    """`stripe_per_second` is the limit of the endpoint that charges, of all workers together."""

    stripe_per_second: float = 25.0
    stripe_median_seconds: float = 0.6
    stripe_sigma: float = 0.5
    pod_ready_seconds: float = 20.0
    own_cpu_seconds: float = field(default_factory=cpu_of_a_charge)


@dataclass(frozen=True, slots=True)
class Look:
    """One sync of the autoscaler."""

    at: float
    pods: int
    wanted: int
    waiting: int
    parked: int
    drain: float
    held: int
    age: float


@dataclass(slots=True)
class OnSaleResult:
    world: dict[str, float]
    orders: int = 0
    charged: int = 0
    sent_back: int = 0
    most_pods: int = 0
    drained_at: float = math.nan
    waits: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        cuts = quantiles(self.waits, n=100)
        return {
            **self.world,
            "orders": self.orders,
            "charged": self.charged,
            "most_pods": self.most_pods,
            "longest_lag": max(look.waiting + look.parked for look in self.looks),
            "drained_at_seconds": round(self.drained_at, 1),
            "wait_p50_seconds": round(cuts[49], 1),
            "wait_p99_seconds": round(cuts[98], 1),
            "sent_back": self.sent_back,
            "pods_at_the_end": self.looks[-1].pods,
        }


class Simulation:
    """`run` plays one sale; the same seed plays the same one."""

    def __init__(self, sale: OnSale, world: World, policy: Policy, seed: int) -> None:
        self.sale, self.world, self.policy = sale, world, policy
        self.outcome = OnSaleResult({key: round(value, 4) for key, value in asdict(world).items()})
        self._chance = Random(seed)  # noqa: S311  a story from a seed, not a secret
        self._env = simpy.Environment()
        self._ready: simpy.Store = simpy.Store(self._env)
        self._since: deque[float] = deque()
        self._next_slot = 0.0
        self._busy = self._parked = self._running = 0
        self._done: deque[float] = deque()
        self._pods: list[dict[str, bool]] = []

    def run(self) -> OnSaleResult:
        for _ in range(self.policy.least):
            self._start_pod(0.0)
        self._env.process(self._orders())
        self._env.process(self._scale())
        self._env.run(until=self.sale.seconds)
        return self.outcome

    def _orders(self) -> Generator[Any, Any, None]:
        """Thinning of a Poisson process at the peak's rate."""
        while True:
            yield self._env.timeout(self._chance.expovariate(self.sale.peak))
            if self._chance.random() * self.sale.peak < self.sale.rate(self._env.now):
                self.outcome.orders += 1
                self._put((self._env.now, None))

    def _put(self, message: tuple[float, float | None]) -> None:
        self._since.append(self._env.now)
        self._ready.put(message)

    def _start_pod(self, after: float) -> None:
        core = simpy.Resource(self._env, 1)
        pod = {"stop": False}
        self._running += 1
        self._pods.append(pod)
        for _ in range(THREADS):
            self._env.process(self._thread(pod, core, after))

    def _thread(self, pod: dict[str, bool], core: simpy.Resource, after: float) -> Generator[Any, Any, None]:
        yield self._env.timeout(after)
        while not pod["stop"]:
            getting = self._ready.get()
            yield getting | self._env.timeout(1.0)
            if not getting.triggered:
                getting.cancel()
                continue
            self._since.popleft()
            self._busy += 1
            assert getting.value is not None, "it was triggered by a message"
            yield from self._handle(getting.value, core)
            self._busy -= 1

    def _handle(self, message: tuple[float, float | None], core: simpy.Resource) -> Generator[Any, Any, None]:
        ordered, slot = message
        if slot is None:
            slot = max(self._env.now, self._next_slot)
            if slot - self._env.now > LONGEST_SLOT_SECONDS:  # it gets no slot, and asks again
                pause = self._chance.uniform(LONGEST_SLOT_SECONDS / 2, LONGEST_SLOT_SECONDS)
                self._send_back((ordered, None), pause)
                return
            self._next_slot = slot + 1 / self.world.stripe_per_second
        wait = slot - self._env.now
        if wait > PERMIT_PATIENCE_SECONDS:
            self._send_back((ordered, slot), wait)
            return
        yield self._env.timeout(max(0.0, wait))
        with core.request() as mine:
            yield mine
            yield self._env.timeout(self.world.own_cpu_seconds)
        median = math.log(self.world.stripe_median_seconds)
        yield self._env.timeout(self._chance.lognormvariate(median, self.world.stripe_sigma))
        self.outcome.charged += 1
        self.outcome.waits.append(self._env.now - ordered)
        self._done.append(self._env.now)

    def _send_back(self, message: tuple[float, float | None], seconds: float) -> None:
        """A row with a due time: nobody holds it, and it is not counted as waiting before it is due."""
        self.outcome.sent_back += 1
        self._parked += 1
        self._env.process(self._come_back(message, seconds))

    def _come_back(self, message: tuple[float, float | None], seconds: float) -> Generator[Any, Any, None]:
        yield self._env.timeout(seconds)
        self._parked -= 1
        self._put(message)

    def _scale(self) -> Generator[Any, Any, None]:
        autoscaler = Autoscaler(self.policy)
        while True:
            yield self._env.timeout(SYNC_SECONDS)
            signals = self._signals()
            wanted = autoscaler.pods(self._env.now, self._running, signals)
            self._note(wanted, signals)
            for _ in range(wanted - self._running):
                self._start_pod(self.world.pod_ready_seconds)
            for pod in self._pods[wanted:]:  # it takes no new work, finishes what it holds, and is gone
                pod["stop"] = True
            self._pods, self._running = self._pods[:wanted], wanted

    def _signals(self) -> dict[str, float]:
        while self._done and self._done[0] < self._env.now - RATE_WINDOW_SECONDS:
            self._done.popleft()
        pace = len(self._done) / RATE_WINDOW_SECONDS
        held = len(self._ready.items) + self._busy
        age = self._env.now - self._since[0] if self._since else 0.0
        return {"held": held, "age": age, "drain": held / pace if pace else (600.0 if held else 0.0)}

    def _note(self, wanted: int, signals: dict[str, float]) -> None:
        outcome, waiting = self.outcome, len(self._ready.items)
        outcome.most_pods = max(outcome.most_pods, wanted)
        outcome.looks.append(
            Look(self._env.now, self._running, wanted, waiting, self._parked, signals["drain"], int(signals["held"]),
                 signals["age"])
        )  # fmt: skip
        is_over = self._env.now > self.sale.ramp_seconds + self.sale.hold_seconds
        if is_over and math.isnan(outcome.drained_at) and waiting + self._parked <= self.sale.tail * 2:
            outcome.drained_at = self._env.now


def scenarios(sale: OnSale, seed: int) -> Iterator[tuple[str, OnSaleResult]]:
    """The limit every account begins with, and what an on-sale should be granted before."""
    policy = read_policies()["workers-charges"]
    for name, limit in (("Stripe's 25 a second", 25.0), ("raised to 100 a second", 100.0)):
        yield name, Simulation(sale, World(stripe_per_second=limit), policy, seed).run()
