"""Health pages of every process: live while its loops beat, ready while what it cannot work without is there."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from multiprocessing import get_context

import httpx
import pytest
from pydantic import SecretStr

from db.session import Database
from messages.runtime.cache import CacheSettings
from outbox.broker.settings import BrokerSettings
from outbox.monitoring.checks import broker_check, cache_check, database_check
from outbox.process import health
from outbox.process.health import CachedCheck, Health, HealthServer, HealthSettings
from outbox.process.heartbeat import Heartbeats

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> Heartbeats:
    """Beats of this test alone."""
    fresh = Heartbeats()
    monkeypatch.setattr(health, "BEATS", fresh)
    return fresh


@pytest.fixture
def told(db: Database, rabbitmq_url: str) -> Health:
    broker = BrokerSettings(app_env="test", rabbitmq_url=SecretStr(rabbitmq_url))
    cache = CacheSettings(app_env="test", redis_url=SecretStr(f"redis://{NOWHERE}/0"))
    checks = {"db": database_check(db), "broker": broker_check(broker), "redis": cache_check(cache)}
    return Health("relay", checks, ("db", "broker"))


@pytest.fixture
def page(told: Health) -> Iterator[httpx.Client]:
    server = HealthServer(told, "127.0.0.1", 0)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield client
    server.close()


def test_it_is_live_while_its_loop_beats_and_not_when_the_loop_stands(
    page: httpx.Client, beats: Heartbeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats.beat("relay")
    assert page.get("/health/live").status_code == 200

    monkeypatch.setattr(health, "LIVE_SECONDS", 0.01)
    time.sleep(0.02)

    stands = page.get("/health/live")
    assert stands.status_code == 503
    assert list(stands.json()["silent_for_seconds"]) == [f"relay ({os.getpid()})"]


def test_one_that_was_asked_to_stop_is_live_and_no_longer_ready(
    page: httpx.Client, beats: Heartbeats, told: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats.beat("relay")
    assert page.get("/health/ready").json() == {"status": "ready", "db": "up", "broker": "up"}

    monkeypatch.setattr(health, "LIVE_SECONDS", 0.0)
    told.stopping.set()

    assert page.get("/health/live").status_code == 200
    assert page.get("/health/ready").status_code == 503


def test_one_whose_loop_has_not_begun_is_not_ready(page: httpx.Client, beats: Heartbeats) -> None:
    assert beats.all() == []

    assert page.get("/health/ready").status_code == 503
    assert page.get("/health/live").status_code == 200


def test_without_its_database_it_is_live_and_not_ready(
    page: httpx.Client,
    beats: Heartbeats,
    database_away: Callable[[], AbstractContextManager[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "ASK_AGAIN_SECONDS", 0.0)
    beats.beat("relay")
    with database_away():
        ready = page.get("/health/ready", timeout=10)
        assert (ready.status_code, ready.json()["db"]) == (503, "down")
        assert page.get("/health/db", timeout=10).status_code == 503
        assert page.get("/health/live").status_code == 200


def test_a_cache_that_is_away_is_told_and_stops_nobody(page: httpx.Client, beats: Heartbeats) -> None:
    beats.beat("relay")

    assert page.get("/health/redis").status_code == 503
    assert page.get("/health/ready").status_code == 200


def test_what_a_process_has_no_use_for_is_not_asked(page: httpx.Client) -> None:
    answer = page.get("/health/stripe")

    assert (answer.status_code, answer.json()) == (200, {"status": "not asked here"})
    assert page.get("/health/card").status_code == 404
    assert page.get("/").status_code == 404


def test_metrics_are_of_this_process_alone_and_tell_what_it_reaches(page: httpx.Client, beats: Heartbeats) -> None:
    beats.beat("relay")

    lines = page.get("/metrics", timeout=10).text.splitlines()

    assert 'fleet_dependency_up{dependency="db"} 1.0' in lines
    assert 'fleet_dependency_up{dependency="redis"} 0.0' in lines
    silent = [line for line in lines if line.startswith('fleet_loop_silent_seconds{loop="relay"}')]
    assert [float(line.rsplit(" ", 1)[1]) < 60 for line in silent] == [True]
    assert any(line.startswith("fleet_relay_published_total ") for line in lines)  # others have published here, perhaps


def test_a_fork_shares_its_beats_with_those_beside_it() -> None:
    shared = Heartbeats()
    forks = [get_context("fork").Process(target=shared.beat, args=(name,)) for name in ("charges", "refunds")]
    for fork in forks:
        fork.start()
    for fork in forks:
        fork.join()

    assert {(each.name, each.pid) for each in shared.all()} == {
        ("charges", forks[0].pid),
        ("refunds", forks[1].pid),
    }


def test_an_answer_is_asked_for_once_in_its_time() -> None:
    asked: list[int] = []
    check = CachedCheck(lambda: bool(asked.append(1)) or True, seconds=60)

    assert [check(), check(), check()] == [True, True, True]
    assert len(asked) == 1


def test_what_is_there_and_does_not_answer_is_down_within_the_patience_and_in_the_metrics(
    beats: Heartbeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker on a machine that stands still takes connections and says nothing."""
    monkeypatch.setattr(health, "SCRAPE_SECONDS", 0.05)
    beats.beat("relay")
    well, over = threading.Event(), threading.Event()
    well.set()

    def check() -> bool:
        return well.is_set() or over.wait(30)

    told = Health("relay", {"broker": CachedCheck(check, seconds=0.0, patience_seconds=0.1)}, ("broker",))
    assert told.answer("/health/ready")[0] == 200

    well.clear()
    started = time.monotonic()
    assert [told.answer("/health/ready")[0] for _ in range(3)] == [503] * 3
    assert time.monotonic() - started < 5, "those who ask again do not wait again"
    up = next(iter(told.collect()))
    assert [sample.value for sample in up.samples] == [0.0]
    over.set()


def test_a_check_that_fails_in_a_way_nobody_thought_of_is_no() -> None:
    def check() -> bool:
        raise RuntimeError("some other family of errors")

    assert Health("relay", {"broker": check}, ()).answer("/health/broker")[0] == 503


def test_without_a_port_nothing_is_served_and_a_port_that_is_taken_stops_the_start(told: Health) -> None:
    assert health.serve_health(HealthSettings(app_env="test"), told) is None

    other = HealthServer(told, "127.0.0.1", 0)
    with pytest.raises(SystemExit, match="HEALTH_PORT"):
        health.serve_health(HealthSettings(app_env="test", health_port=other.port), told)
    other.close()
