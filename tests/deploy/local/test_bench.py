"""The bench runs, measures what its table promises, and cleans up; how fast anything is, no test asks."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from deploy.local.bench.measures import Measure, at_least, at_most
from deploy.local.stack.stack import CLONE, Stack

KEYS = {"name", "unit", "passes", "median", "min", "max", "goal", "met", "note"}


@dataclass(frozen=True)
class Bench:
    directory: Path
    out: Path
    ran: "subprocess.CompletedProcess[str]"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A quick bench, started as a person would, in a directory of its own."""
    where = tmp_path_factory.mktemp("bench")
    directory, out = where / "stack", where / "bench.json"
    command = [sys.executable, "-m", "deploy.local.bench", "--quick", "--only", "relay,intake,stripe"]
    options = ["--out", str(out), "--directory", str(directory)]
    ran = subprocess.run(
        [*command, *options], cwd=CLONE, env=os.environ, capture_output=True, text=True, timeout=300, check=False
    )
    return Bench(directory, out, ran)


def test_a_quick_bench_writes_its_file_and_says_each_measure_in_a_line(bench: Bench) -> None:
    assert bench.ran.returncode == 0, bench.ran.stderr
    content = json.loads(bench.out.read_text())
    assert all(set(measure) == KEYS for measure in content["measures"])
    assert all(len(measure["passes"]) == 2 for measure in content["measures"])
    assert len(bench.ran.stdout.splitlines()) == len(content["measures"])
    assert {"relay / publish only", "intake, batches of 100 / bare commit"} <= {m["name"] for m in content["measures"]}


def test_a_goal_is_met_or_not_by_the_median() -> None:
    assert Measure("rate", "1/s", at_least(2), passes=[1, 2, 9]).met is True
    assert Measure("cost", "ms", at_most(2), passes=[1, 3, 9]).met is False
    assert Measure("fact", "ms", passes=[1]).met is None


def test_nothing_of_a_bench_is_left_behind(bench: Bench) -> None:
    with (
        Stack(bench.directory, outside={}) as stack,
        psycopg.connect(stack.postgres.superuser_url("postgres")) as superuser,
    ):
        left = superuser.execute("SELECT datname FROM pg_database WHERE datname LIKE 'bench%'").fetchall()
    assert left == []
