"""The scaling policy of the manifests, and what it does under an on-sale in simulated time."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.scaling.onsale import OnSale, OnSaleResult, Simulation, World
from deploy.scaling.plot import draw
from deploy.scaling.policy import SYNC_SECONDS, Autoscaler, Policy, Trigger, read_policies
from messages.queue_classes import queue_classes
from stripe_client.rate_limit import limiter as governor

POLICY = read_policies()["workers-charges"]
IDLE = {"drain": 0.0, "held": 0.0, "age": 0.0}
RUSH = {"drain": 500.0, "held": 4_000.0, "age": 60.0}


def test_every_class_of_queues_and_the_relay_have_a_policy() -> None:
    assert set(read_policies()) == {f"workers-{name}" for name in queue_classes()} | {"relay"}


@pytest.mark.parametrize(
    ("trigger", "pods", "measured", "wishes"),
    [
        (Trigger("held", 80, "AverageValue"), 2, 801, 11),
        (Trigger("held", 80, "AverageValue"), 10, 801, 10),  # within the tolerance
        (Trigger("drain", 20, "Value"), 2, 100, 10),
        (Trigger("drain", 20, "Value"), 2, 0, 0),
    ],
)
def test_a_trigger_wishes_as_kubernetes_reckons(trigger: Trigger, pods: int, measured: float, wishes: int) -> None:
    assert trigger.wishes(pods, measured) == wishes


def test_it_grows_at_once_by_four_or_by_as_many_as_there_are_and_never_beyond_the_most() -> None:
    autoscaler, pods, steps = Autoscaler(POLICY), POLICY.least, []

    for number in range(4):
        pods = autoscaler.pods(number * SYNC_SECONDS, pods, RUSH)
        steps.append(pods)

    assert steps == [6, 12, 12, 12]


def test_a_lull_between_two_waves_stops_nobody() -> None:
    autoscaler = Autoscaler(POLICY)
    autoscaler.pods(0.0, 12, RUSH)

    lull = [autoscaler.pods(at, 12, IDLE) for at in range(15, int(POLICY.down_window_seconds), 15)]

    assert set(lull) == {12}


def test_it_shrinks_by_one_a_minute_once_the_window_is_over_and_never_below_the_least() -> None:
    autoscaler, pods = Autoscaler(POLICY), 5
    autoscaler.pods(0.0, pods, RUSH | {"held": 400.0, "drain": 20.0, "age": 15.0})
    counts = []

    for at in range(15, 900, 15):
        pods = autoscaler.pods(float(at), pods, IDLE)
        counts.append((at, pods))

    assert [pods for at, pods in counts if at in {300, 330, 390, 450, 510, 840}] == [5, 4, 3, 2, 2, 2]


@pytest.mark.parametrize("limit", [25.0, 100.0])
def test_an_on_sale_is_survived_at_stripes_pace(limit: float) -> None:
    sale = OnSale(seconds=1_200.0)

    outcome = play(sale, World(stripe_per_second=limit))

    assert outcome.orders - outcome.charged < sale.tail * 10, "what was ordered is charged, but for the last seconds"
    assert 3 <= outcome.most_pods <= POLICY.most
    rush = sale.ramp_seconds + sale.hold_seconds
    left = sale.peak * (rush - sale.ramp_seconds / 2) - limit * rush
    earliest = rush + left / (limit - sale.tail)
    assert earliest - 15 <= outcome.drained_at <= earliest + 60, "it waits for Stripe's limit, and a minute for us"
    assert outcome.looks[-1].pods == POLICY.least


def test_with_too_few_pods_the_sale_waits_for_us_and_not_for_stripe() -> None:
    """The simulation can fail: bound to two pods it takes more than twice as long."""
    sale = OnSale(peak=100, hold_seconds=40, seconds=400.0)

    bound = play(sale, World(stripe_per_second=100.0), replace(POLICY, most=2))
    free = play(sale, World(stripe_per_second=100.0))

    assert bound.drained_at > 2 * free.drained_at


def test_the_same_seed_plays_the_same_sale() -> None:
    sale = OnSale(peak=50, seconds=200.0)

    assert play(sale, World()).summary() == play(sale, World()).summary()


def test_the_simulated_patience_is_that_of_the_governor() -> None:
    from deploy.scaling import onsale  # noqa: PLC0415

    assert onsale.PERMIT_PATIENCE_SECONDS == governor.PATIENCE_SECONDS
    assert onsale.LONGEST_SLOT_SECONDS == governor.LONGEST_SLOT_SECONDS


def test_the_picture_shows_every_scene(tmp_path: Path) -> None:
    sale = OnSale(peak=20, hold_seconds=10, seconds=120)

    draw({"a sale": play(sale, World())}, sale, tmp_path / "sale.svg")

    text = (tmp_path / "sale.svg").read_text()
    assert "<svg" in text
    assert len(text) > 10_000


def play(sale: OnSale, world: World, policy: Policy = POLICY) -> OnSaleResult:
    return Simulation(sale, world, policy, seed=1).run()
