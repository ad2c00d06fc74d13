"""How a process begins and ends, whichever it is: settings, signals, and what it closes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import httpx
import pytest

from deploy.local.stack.stack import CLONE
from deploy.local.stripe.process import free_port
from messages.runtime.settings import EX_CONFIG

PROGRAM = """
from db.settings import DatabaseSettings
from outbox.process.run import Program
from messages.runtime.cache import CacheSettings

def build(process, database, cache):
    print("building", flush=True)
    process.database(database)
    process.closing.callback(print, "closed first")
    process.closing.callback(print, "closed before that")
    {building}
    return process.stopping.wait if {works} else no_work

def no_work():
    raise RuntimeError("it fell over")

Program("scheduler", goodbye="scheduler stopped").run((DatabaseSettings, CacheSettings), build)
"""
SETTINGS = {"DATABASE_URL": "postgresql://fleet@127.0.0.1:1/fleet", "REDIS_URL": "redis://127.0.0.1:1/0"}


@contextmanager
def program(
    *, building: str = "print('built', flush=True)", works: bool = True, **settings: str
) -> "Iterator[subprocess.Popen[str]]":
    environment = {name: value for name, value in os.environ.items() if name not in {*SETTINGS, "HEALTH_PORT"}}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(building=building, works=works)],
        env={**environment, "APP_ENV": "test", **settings},
        cwd=CLONE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: "subprocess.Popen[str]", word: str) -> None:
    assert process.stdout is not None
    assert word in iter(partial(next, (line.strip() for line in process.stdout)), None)


def test_all_wrong_settings_are_named_at_once_and_nothing_is_built() -> None:
    with program(HEALTH_PORT="none") as process:
        out, error = process.communicate(timeout=60)

    assert process.returncode == EX_CONFIG
    assert out == ""
    assert error.startswith("This process cannot start:\n")
    assert [line[:16] for line in error.splitlines()[1:]] == [
        "  - DATABASE_URL",
        "  - REDIS_URL is",
        "  - HEALTH_PORT:",
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_its_work_closes_in_reverse_and_says_goodbye(number: signal.Signals) -> None:
    with program(**SETTINGS) as process:
        read_until(process, "built")
        time.sleep(0.5)  # from the last line of `build` to the first of the work
        process.send_signal(number)
        out, error = process.communicate(timeout=60)

    assert process.returncode == 0
    assert out.splitlines() == ["closed before that", "closed first"]
    assert error.rstrip().endswith("scheduler stopped")


def test_asked_to_stop_while_it_builds_it_leaves_at_once_with_nothing_to_put_in_order() -> None:
    with program(building="import time; time.sleep(60)", **SETTINGS) as process:
        read_until(process, "building")
        process.terminate()
        out, error = process.communicate(timeout=30)

    assert process.returncode == 0
    assert out == ""
    assert "Traceback" not in error
    assert "scheduler stopped" not in error


def test_a_setting_that_only_the_building_finds_wrong_stops_the_start_the_same_way() -> None:
    building = (
        "from messages.runtime.settings import SettingsError; raise SettingsError(['CHAIN_ID is of another chain.'])"
    )
    with program(building=building, **SETTINGS) as process:
        _, error = process.communicate(timeout=60)

    assert process.returncode == EX_CONFIG
    assert "This process cannot start:\n  - CHAIN_ID is of another chain.\n" in error
    assert "Traceback" not in error


def test_work_that_falls_over_ends_the_process_with_an_error_and_no_goodbye() -> None:
    with program(works=False, **SETTINGS) as process:
        out, error = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "closed" not in out
    assert "it fell over" in error
    assert "scheduler stopped" not in error


def test_its_health_page_is_not_ready_once_it_is_asked_to_stop_and_live_until_its_end() -> None:
    port = free_port()
    building = (
        "process.serve_health({}, ()); from outbox.process.heartbeat import beat; beat('loop'); "
        "process.closing.callback(__import__('time').sleep, 2); print('built', flush=True)"
    )
    with program(building=building, HEALTH_PORT=str(port), **SETTINGS) as process:
        page = f"http://127.0.0.1:{port}/health"
        read_until(process, "built")
        before = httpx.get(f"{page}/ready").status_code
        time.sleep(0.5)  # from the last line of `build` to the first of the work
        process.terminate()
        time.sleep(0.5)

        assert (before, httpx.get(f"{page}/ready").status_code, httpx.get(f"{page}/live").status_code) == (
            200,
            503,
            200,
        )
        assert process.wait(30) == 0
