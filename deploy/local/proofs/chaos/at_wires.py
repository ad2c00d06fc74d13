"""Cases 15, 17, 23: the network between the fleet and its servers is cut, silent, slow, or loses one answer."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from deploy.local.proofs.chaos.cases import Scene, case
from deploy.local.scenario.fleet import HEARTBEAT_SECONDS

# pika looks once in a heartbeat and five seconds; the second look at the latest finds nothing, and the work follows:
# all that was sold meanwhile, in 4 s on an idle machine and in more than 13 where seven processes wait for each core.
NOTICED = 2.0 * (HEARTBEAT_SECONDS + 5) + 40
ENOUGH = 10
SUCCEEDED_SINCE = "payments WHERE created_at > %(since)s AND state = 'succeeded'"
STUCK = (
    "payments WHERE state IN ('requested', 'charging') AND created_at < clock_timestamp() - interval '3 seconds' "
    "AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.payment_id = payments.payment_id)"
)
UNCONFIRMED = "outbox WHERE due_at < clock_timestamp() - interval '1 second'"


@case("15", "relay and broker are disconnected between publish and confirm", short=True)
def parted(scene: Scene) -> Iterator[None]:
    wire = scene.fleet.relay_wire
    for _ in range(scene.chance.randint(1, 3)):
        wire.answers_pass = False
        try:
            scene.after_orders(scene.chance.randint(5, 20))
            scene.until(lambda: scene.truth.count(UNCONFIRMED) > 0, "rows wait for their confirms")
        finally:
            wire.answers_pass = True
            wire.cut()
        scene.after_orders(scene.chance.randint(2, 8))
    yield


@case("17a", "connections to the broker are half open", short=True)
def half_open_broker(scene: Scene) -> Iterator[None]:
    """Only missed heartbeats show it. New connections pass; the silent ones stay until it is over."""
    silent_since, started = datetime.now(UTC), time.monotonic()
    scene.fleet.rabbitmq_wire.silence()
    scene.fleet.relay_wire.silence()
    scene.until(
        lambda: scene.truth.count(SUCCEEDED_SINCE, since=silent_since) >= ENOUGH and not scene.truth.count(STUCK),
        "payments succeed on new connections, and none hangs on a silent one",
        NOTICED,
    )
    scene.note(f"after {time.monotonic() - started:.1f} s")
    yield


@case("17b", "connections to the database are silent, then reset")
def half_open_database(scene: Scene) -> Iterator[None]:
    """Here the proxy's own kernel answers keepalives, so the reset that they would bring comes from the case."""
    scene.fleet.postgres_wire.silence()
    scene.after_orders(scene.chance.randint(10, 30))
    scene.fleet.postgres_wire.cut()
    yield


@case("17c", "a slow network to broker and database")
def slow_network(scene: Scene) -> Iterator[None]:
    wires = (scene.fleet.postgres_wire, scene.fleet.rabbitmq_wire, scene.fleet.relay_wire)
    milliseconds = scene.chance.randint(20, 150)
    scene.note(f"{milliseconds} ms each way")
    try:
        for wire in wires:
            wire.delay_seconds = milliseconds / 1000
        scene.after_orders(scene.chance.randint(20, 40))
    finally:
        for wire in wires:
            wire.delay_seconds = 0.0
    yield


@case("23", "the response to COMMIT is lost", short=True)
def lost_commit_answers(scene: Scene) -> Iterator[None]:
    wire = scene.fleet.postgres_wire
    applications = ["fleet-worker", "fleet-relay", "fleet-intake-orders", "fleet-intake-http", "fleet-intake-api"]
    for application in scene.chance.sample(applications, len(applications)):
        times = scene.chance.randint(2, 4)
        scene.note(f"{application} {times}")
        wire.lose_commit_answers(application, times)
        try:
            scene.until(lambda: wire.commits_to_lose == 0, f"{times} answers lost on the way to {application}")
        finally:
            wire.commits_to_lose = 0
    yield
