"""The bench runs, measures what its table promises, and cleans up; how fast anything is, no test asks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg

from deploy.local.bench.measures import Measure, at_least, at_most
from deploy.local.stack import CLONE, Stack

KEYS = {"name", "unit", "passes", "median", "min", "max", "goal", "met", "note"}


def test_a_quick_bench_writes_its_file_and_says_each_measure_in_a_line(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"

    ran = bench("--quick", "--only", "relay,intake,stripe", "--out", str(out), directory=tmp_path / "stack")

    content = json.loads(out.read_text())
    assert ran.returncode == 0, ran.stderr
    assert all(set(measure) == KEYS for measure in content["measures"])
    assert all(len(measure["passes"]) == 2 for measure in content["measures"])
    assert len(ran.stdout.splitlines()) == len(content["measures"])
    assert {"relay / publish only", "intake, batches of 100 / bare commit"} <= {m["name"] for m in content["measures"]}


def test_a_goal_is_met_or_not_by_the_median() -> None:
    assert Measure("rate", "1/s", at_least(2), passes=[1, 2, 9]).met is True
    assert Measure("cost", "ms", at_most(2), passes=[1, 3, 9]).met is False
    assert Measure("fact", "ms", passes=[1]).met is None


def test_nothing_of_a_bench_is_left_behind(tmp_path: Path) -> None:
    directory = tmp_path / "stack"
    bench("--quick", "--only", "intake", "--out", str(tmp_path / "bench.json"), directory=directory)

    with Stack(directory, outside={}) as stack, psycopg.connect(stack.postgres.superuser_url("postgres")) as superuser:
        left = superuser.execute("SELECT datname FROM pg_database WHERE datname LIKE 'bench%'").fetchall()
    assert left == []


def bench(*arguments: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "deploy.local.bench", *arguments, "--directory", str(directory)]
    return subprocess.run(command, cwd=CLONE, env=os.environ, capture_output=True, text=True, timeout=120, check=False)
