"""Every queue is worked by exactly one class of workers."""

import re
from pathlib import Path

import pytest

from messages.queue_classes import BACKGROUND, longest_run_seconds, queue_classes
from messages.queues import QUEUE_CLASSES, ROUTES, class_of
from messages.runtime.settings import SettingsError
from workers.main import dramatiq_words

ROOT = Path(__file__).resolve().parents[2]


def test_every_queue_is_in_exactly_one_class() -> None:
    queues = [queue for listed in queue_classes().values() for queue in listed]

    assert sorted(queues) == sorted({route.queue for route in ROUTES.values()})
    assert list(queue_classes()) == ["charges", "refunds", "webhooks", BACKGROUND]


def test_every_queue_of_work_has_its_place_in_the_table() -> None:
    assert {route.queue for route in ROUTES.values()} <= set(QUEUE_CLASSES)
    assert all(class_of(queue) == name for name, queues in queue_classes().items() for queue in queues)


def test_a_queue_nobody_has_thought_of_is_worked_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(QUEUE_CLASSES, "replays")

    assert "replays" in queue_classes()[BACKGROUND]


def test_a_worker_of_a_class_listens_to_its_queues_alone() -> None:
    words = dramatiq_words(["--processes", "1", "--queue-class", "refunds", "--threads", "8"])

    assert words == ["--processes", "1", "--threads", "8", "--queues", "refunds", "captures", "event_cancellations"]
    assert dramatiq_words(["--threads", "8"]) == ["--threads", "8"]


@pytest.mark.parametrize("words", [["--queue-class"], ["--queue-class", "charge"]])
def test_a_class_that_is_none_stops_the_start(words: list[str]) -> None:
    with pytest.raises(SettingsError, match="is none of charges, refunds, webhooks, background"):
        dramatiq_words(words)


def test_pages_and_manifests_start_workers_by_a_class_that_there_is() -> None:
    pages = [path for kind in ("md", "yaml") for path in (ROOT / "deploy").rglob(f"*.{kind}")]
    texts = [path.read_text() for path in (ROOT / "README.md", ROOT / "Procfile", *pages)]
    named = {name for text in texts for name in re.findall(r"--queue-class[ =,]+([a-z]+)", text)}

    assert named == set(queue_classes())
    assert not [text for text in texts if "--queues" in text]  # Dramatiq's own word knows no classes


def test_the_longest_run_of_a_class_is_that_of_its_slowest_message() -> None:
    assert longest_run_seconds("charges") == 90
    assert longest_run_seconds(BACKGROUND) == max(route.patience.time_limit_seconds for route in ROUTES.values())
