"""The short form of `fleet chaos`: a handful of the most important cases, as a person would start it."""

import json
import subprocess
import sys

from deploy.local.stack.stack import CLONE

CASES = {"1b", "3", "3b", "3c", "14a", "21", "23", "26", "29", "31"}


def test_a_few_faults_under_load_end_clean_and_quiet() -> None:
    command = [sys.executable, "-m", "deploy.cli", "chaos", "--seed", "1", "--minutes", "1", "--orders", "300"]
    ended = subprocess.run(
        [*command, "--only", ",".join(CASES), "--json"],
        cwd=CLONE,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert ended.returncode == 0, ended.stderr[-4000:]
    outcome = json.loads(ended.stdout)
    assert outcome["clean"]
    assert outcome["quiet"]
    assert {result["key"] for result in outcome["results"]} == CASES
    assert all(result["published"] for result in outcome["results"])
