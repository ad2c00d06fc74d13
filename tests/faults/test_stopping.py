"""A roll-out or a drained node: SIGTERM means no new work, finish what is in hand, give the rest back, leave with 0.

What the grace is for, and that its end loses nothing.
"""

import pika
import pytest

from messages.queue_classes import queue_classes
from outbox.broker import topology
from tests.journeys import processes
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean

HELD_AT_ONCE = 16  # two processes of eight threads, as in the Procfile


def test_a_worker_asked_to_stop_finishes_what_it_holds_gives_back_the_rest_and_takes_nothing_new(fleet: Fleet) -> None:
    fleet.control.add_fault("latency", method="POST", path="/v1/payment_intents*", probability=1.0, seconds=0.4)
    fleet.publish(*fleet.orders(60))
    fleet.wait_until(lambda: fleet.rows("SELECT 1 FROM payments WHERE state = 'charging'") != [], "somebody charges")

    code = fleet.stop("workers")

    assert code == 0
    assert fleet.rows("SELECT 1 FROM payments WHERE state = 'charging'") == [], "what was begun was finished"
    finished = fleet.rows("SELECT 1 FROM payments WHERE state = 'succeeded'")
    # Dramatiq's command looks up once a second, in which three rounds of 0.4 s begin; one more order proved the fleet.
    assert 1 <= len(finished) <= 3 * HELD_AT_ONCE + 1, "no new work was taken"
    fleet.wait_until(lambda: _ready(fleet) + len(finished) >= 60, "what it held unacked is back at the broker")
    fleet.start("workers")
    assert_clean(fleet)


def test_a_worker_that_is_killed_at_the_end_of_its_grace_loses_nothing_and_charges_nobody_twice(fleet: Fleet) -> None:
    fleet.control.add_fault("latency", method="POST", path="/v1/payment_intents*", probability=1.0, seconds=0.8)
    fleet.publish(*fleet.orders(40))
    fleet.wait_until(lambda: fleet.rows("SELECT 1 FROM payments WHERE state = 'charging'") != [], "somebody charges")

    fleet.stop_and_lose_patience("workers", grace_seconds=0.3)

    assert fleet.rows("SELECT 1 FROM payments WHERE state = 'charging'") != [], "it was killed in mid-work"
    fleet.control.clear_faults()
    fleet.start("workers")
    assert_clean(fleet)


def test_a_relay_asked_to_stop_settles_its_batch_so_that_nothing_is_published_twice(fleet: Fleet) -> None:
    fleet.stop("workers")
    fleet.publish(*fleet.orders(300))
    fleet.wait_until(lambda: _ready(fleet) > 0, "it publishes")

    code = fleet.stop("relay")

    assert code == 0
    fleet.wait_until(lambda: _accepted(fleet) == 300, "the intake has taken all of them")
    left = fleet.rows("SELECT count(*) FROM outbox WHERE kind = 'charge'")[0]["count"]
    assert _ready(fleet) + left == 300, "each charge is either at the broker or in the outbox, never both"
    fleet.start("relay")
    fleet.start("workers")
    assert_clean(fleet)


def test_a_worker_for_each_class_works_its_own_queues_and_stops_in_good_order(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = "python -m workers.main --processes 1 --threads 2 --queue-class"
    for name in queue_classes():
        monkeypatch.setitem(processes.PROCFILE, name, f"{worker} {name}")
    fleet.stop("workers")

    fleet.start("charges")
    fleet.wait_until(lambda: _consumed(fleet) == {"charges"}, "it listens to its queues alone")
    for name in set(queue_classes()) - {"charges"}:
        fleet.start(name)
    fleet.wait_until(lambda: len(_consumed(fleet)) == sum(map(len, queue_classes().values())), "all queues are worked")
    with fleet.publish_meanwhile(*fleet.orders(20), rate=40):
        codes = [fleet.stop("charges")]
        fleet.start("charges")

    # A process that is told to stop while it still loads has nothing to put in order, and ends by the signal itself.
    fleet.wait_until(lambda: "charges" in _consumed(fleet), "the one that was started again listens")
    assert_clean(fleet)
    codes += [fleet.stop(name) for name in queue_classes()]
    assert codes == [0] * 5
    fleet.start("workers")


def _ready(fleet: Fleet) -> int:
    return topology.depths(fleet.stack.rabbitmq.url)["charges"]


def _accepted(fleet: Fleet) -> int:
    return int(fleet.rows("SELECT count(*) FROM payments WHERE state = 'requested'")[0]["count"])


def _consumed(fleet: Fleet) -> set[str]:
    connection = pika.BlockingConnection(pika.URLParameters(fleet.stack.rabbitmq.url))
    try:
        work = [queue for queues in queue_classes().values() for queue in queues]
        channel = connection.channel()
        return {name for name in work if channel.queue_declare(name, passive=True).method.consumer_count}
    finally:
        connection.close()
