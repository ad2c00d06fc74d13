"""FAULTS 14, 21-23, 27: broker, database and cache go away under load, in good order or not, and come back."""

from collections.abc import Callable, Iterator
from random import Random

import pytest
import redis

from deploy.local.stack.server import Server
from deploy.local.stack.stack import Stack
from tests.faults.proxy import CuttingWire, cutting_wire
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean

ORDERS = 40
PUBLISHED_BEFORE = 10
ROUNDS = 2


@pytest.fixture(scope="module")
def wire(stack: Stack) -> Iterator[CuttingWire]:
    with cutting_wire(stack.postgres.port) as passing:
        yield passing


@pytest.fixture(scope="module")
def database_port(wire: CuttingWire) -> int:
    """The fleet's way to the database leads over a wire that can be cut."""
    return wire.port


def under_load(fleet: Fleet, trouble: Callable[[], None], *, orders: int = ORDERS) -> None:
    """`trouble` comes when the first orders are published and not yet settled, and more follow while it lasts."""
    before = fleet.service.published
    with fleet.publish_meanwhile(*fleet.orders(orders), rate=40):
        fleet.wait_until(lambda: fleet.service.published - before >= PUBLISHED_BEFORE, "orders are on their way")
        trouble()


def kill_and_start(server: Server) -> None:
    server.kill()
    server.start()


@pytest.mark.parametrize("trouble", [Server.restart, kill_and_start], ids=["restarted", "killed"])
def test_a_broker_that_goes_away_loses_nothing(fleet: Fleet, trouble: Callable[[Server], None]) -> None:
    under_load(fleet, lambda: trouble(fleet.stack.rabbitmq))
    assert_clean(fleet)


@pytest.mark.parametrize("trouble", [Server.restart, kill_and_start], ids=["restarted", "killed"])
def test_a_database_that_goes_away_loses_nothing(fleet: Fleet, trouble: Callable[[Server], None]) -> None:
    under_load(fleet, lambda: trouble(fleet.stack.postgres))
    assert_clean(fleet)


def test_sessions_of_the_database_ended_at_random_lose_nothing(fleet: Fleet) -> None:
    chance = Random(22)  # noqa: S311  a story from a seed, not a secret
    all_of_them = fleet.service.published + ORDERS

    def end_some() -> None:
        for _ in range(12):
            next_one = min(fleet.service.published + 1, all_of_them)
            fleet.end_sessions(chance.choice(["fleet-worker", "fleet-relay%", "fleet-intake%", "fleet-%"]))
            fleet.wait_until(lambda due=next_one: fleet.service.published >= due, "the sale goes on")

    under_load(fleet, end_some)
    assert_clean(fleet)


@pytest.mark.parametrize("application", ["fleet-worker", "fleet-relay", "fleet-intake-orders", "fleet-intake-http"])
def test_a_commit_whose_answer_is_lost_is_done_once(fleet: Fleet, wire: CuttingWire, application: str) -> None:
    waiting = fleet.orders(3, payment_method_id="pm_card_threeDSecure2Required")
    fleet.publish(*waiting)
    fleet.wait_until_quiet()
    wire.lose_commit_answers(application, ROUNDS)

    for order in waiting:
        fleet.control.complete_authentication(fleet.payment_of(order)["payment_intent_id"])
    for _ in range(ROUNDS):
        fleet.publish(*fleet.orders(4))
    fleet.wait_until(lambda: wire.left == 0, f"answers lost on the way to {application}")

    assert_clean(fleet)
    assert [fleet.state_of(order) for order in waiting] == ["succeeded"] * 3


@pytest.mark.parametrize("trouble", ["emptied", "away"])
def test_safety_does_not_depend_on_the_cache(fleet: Fleet, trouble: str) -> None:
    def disturb() -> None:
        if trouble == "away":
            fleet.stack.valkey.stop()
        else:
            with redis.Redis.from_url(fleet.stack.valkey.url) as client:
                client.flushall()

    under_load(fleet, disturb, orders=30)

    assert_clean(fleet)
