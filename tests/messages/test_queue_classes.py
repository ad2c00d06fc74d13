"""Every queue is worked by exactly one class of workers."""

import pytest

from messages.queue_classes import BACKGROUND, class_of, longest_run_seconds, queue_classes
from messages.queues import ROUTES
from messages.settings import SettingsError
from workers.main import dramatiq_words


def test_every_queue_is_in_exactly_one_class() -> None:
    queues = [queue for listed in queue_classes().values() for queue in listed]

    assert sorted(queues) == sorted({route.queue for route in ROUTES.values()})
    assert all(queue in queue_classes()[class_of(queue)] for queue in queues)


def test_a_queue_nobody_has_thought_of_is_worked_in_the_background() -> None:
    assert class_of("a_queue_of_tomorrow") == BACKGROUND


def test_a_worker_of_a_class_listens_to_its_queues_alone() -> None:
    words = dramatiq_words(["--processes", "1", "--queue-class", "refunds", "--threads", "8"])

    assert words == ["--processes", "1", "--threads", "8", "--queues", "refunds", "captures"]
    assert dramatiq_words(["--threads", "8"]) == ["--threads", "8"]


@pytest.mark.parametrize("words", [["--queue-class"], ["--queue-class", "charge"]])
def test_a_class_that_is_none_stops_the_start(words: list[str]) -> None:
    with pytest.raises(SettingsError, match="is none of charges, refunds, webhooks, background"):
        dramatiq_words(words)


def test_the_longest_run_of_a_class_is_that_of_its_slowest_message() -> None:
    assert longest_run_seconds("charges") == 90
    assert longest_run_seconds(BACKGROUND) == max(route.time_limit_seconds for route in ROUTES.values())
