"""Cases 1, 2, 19, 28, 36: processes die, stand still, or are asked to stop."""

import contextlib
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from deploy.local.proofs.chaos.cases import Scene, UnmetError, case
from deploy.local.proofs.chaos.provoking import provoke
from deploy.local.proofs.chaos.truth import AWAY
from deploy.local.stack.stack import CLONE
from messages.runtime.crash_points import points_in

_CODE = [path for room in ("outbox", "workers") for path in sorted(Path(CLONE, room).rglob("*.py"))]
POINTS = [point for path in _CODE for point in points_in(path.read_text())]
# What the sale passes, and what comes after it; those of replay and of the broker's dead letters are armed by the
# cases 31 and 29. Nobody buys in a group here, and there is no chain: tests/faults and tests/workers/minting kill what
# works on those.
_NOT_HERE = ("replay.", "dead_letters.", "group.", "cancel_group.", "mint.", "minter.")
_OF_A_SALE = ("charge.", "intake.", "relay.", "webhook.", "worker.")
ON_SALE = sorted({point for point in POINTS if point.startswith(_OF_A_SALE)})
AFTERWARDS = sorted({point for point in POINTS if not point.startswith((*_OF_A_SALE, *_NOT_HERE))})
# Of these, what buyers and the back office bring about all the time.
GIVING_BACK = [point for point in AFTERWARDS if point.startswith(("refund.", "cancel.", "capture."))]
TO_WORK_OFF = 20  # orders meanwhile: seconds for what the dead had in hand
FEW = 2
PROVOKED_AGAIN_SECONDS = 10.0
PASSED_SECONDS = 60.0  # until the first of them is passed
DEATH_SECONDS = 12.0  # a worker starts again in a few; the points wait for one another


@case("1a", "killed at each named point of a sale")
def every_point(scene: Scene) -> Iterator[None]:
    _die_at(scene, ON_SALE)
    yield


@case("1b", "killed at named points chosen by the seed", short=True)
def some_points(scene: Scene) -> Iterator[None]:
    _die_at(scene, sorted(scene.chance.sample(ON_SALE, FEW) + scene.chance.sample(GIVING_BACK, FEW)))
    yield


@case("1d", "killed at each named point after a sale")
def every_point_afterwards(scene: Scene) -> Iterator[None]:
    """One family after another. Each death gives back all that the workers hold, and the broker counts that against its
    delivery limit: twenty deaths in a row would set aside slow messages that have never been worked on.
    """
    for _, family in groupby(AFTERWARDS, key=lambda point: point.partition(".")[0]):
        _die_at(scene, list(family))
        scene.after_orders(TO_WORK_OFF)
    yield


def _die_at(scene: Scene, points: list[str]) -> None:
    scene.note(", ".join(points))
    for point in points:
        scene.fleet.arm(point)
    deadline = time.monotonic() + PASSED_SECONDS + DEATH_SECONDS * len(points)
    while armed := scene.fleet.armed():
        scene.require(time.monotonic() < deadline, f"nobody died at {', '.join(armed)}")
        with contextlib.suppress(*AWAY, UnmetError):
            provoke(scene, armed)
        with contextlib.suppress(UnmetError):
            scene.until(lambda: not scene.fleet.armed(), "all died", PROVOKED_AGAIN_SECONDS)


@case("1c", "killed at random under load", short=True)
def random_kills(scene: Scene) -> Iterator[None]:
    for _ in range(scene.chance.randint(4, 7)):
        victim = scene.chance.choice([*scene.fleet.names, "one worker", "one worker"])
        scene.note(victim)
        if victim == "one worker":
            scene.fleet.kill_child("workers", scene.chance.randrange(100))
        else:
            scene.fleet.kill(victim)
        scene.after_orders(scene.chance.randint(2, 10))
    yield


@case("2", "a worker and a relay hang, then continue", short=True)
def stand_still(scene: Scene) -> Iterator[None]:
    for name in scene.chance.sample(["workers", "relay.1"], 2):
        members = scene.fleet.members(name)
        chosen = members if name != "workers" else [scene.chance.choice(members[1:] or members)]
        orders = scene.chance.randint(10, 30)
        scene.note(f"{name} for {orders} events")
        with scene.fleet.paused(chosen):
            scene.after_orders(orders)
    yield


@case("19", "killed after the retry is written and before the ack is sent")
def retry_without_ack(scene: Scene) -> Iterator[None]:
    deaths = scene.chance.randint(2, 4)
    failing: dict[str, Any] = {
        "method": "POST",
        "path": "/v1/payment_intents",
        "status": 503,
        "stored": False,
        "probability": 0.8,
    }
    scene.control.add_fault("error", **failing)
    try:
        scene.fleet.arm("worker.before_ack", deaths)
        scene.until(lambda: not scene.fleet.armed(), f"{deaths} workers died before the ack", 120)
    finally:
        scene.control.clear_faults()
    yield


@case("28", "a relay hangs, loses its claim, and continues")
def split_brain(scene: Scene) -> Iterator[None]:
    name = scene.chance.choice(["relay.1", "relay.2"])
    scene.note(name)
    with scene.fleet.paused(scene.fleet.members(name)):
        scene.after_orders(scene.chance.randint(5, 15))
        # As idle_in_transaction_session_timeout would end it in twenty seconds; the other relay's go on by themselves.
        scene.truth.as_superuser(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'fleet-relay' AND state LIKE 'idle in transaction%%' "
            "AND state_change < clock_timestamp() - interval '1 second'"
        )
        before = scene.truth.count("payment_history WHERE to_state = 'succeeded'")
        scene.until(
            lambda: scene.truth.count("payment_history WHERE to_state = 'succeeded'") >= before + 5,
            "the other relay serves all lanes",
        )
    yield


@case("36", "SIGTERM under load, SIGKILL after the grace period")
def scale_in(scene: Scene) -> Iterator[None]:
    for name in scene.chance.sample(["workers", "relay.1", "intake-orders", "intake-http"], 3):
        grace = scene.chance.choice([0.2, 1.0, 15.0])
        in_time = scene.fleet.stop(name, grace)
        scene.note(f"{name} {'drained' if in_time else 'killed'} within {grace:g} s")
        scene.after_orders(scene.chance.randint(2, 8))
        scene.fleet.start(name)
    yield
