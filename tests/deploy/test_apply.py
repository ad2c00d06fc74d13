"""`deploy/kubernetes/apply.sh` before a kubectl that only writes down what it was asked: no cluster can be had here."""

import os
import subprocess
from pathlib import Path

from deploy.local.stack.stack import CLONE

KUBECTL = """#!/bin/sh
echo "$*" >> "$ASKED"
case "$*" in
    *"wait --for=condition=complete"*) [ "$JOB" = complete ] ;;
    *"get job migrate"*) if [ "$JOB" = failed ]; then echo True; fi ;;
    *"get deployment"*) echo deployment.apps/relay; echo deployment.apps/scheduler ;;
esac
"""


def _apply(folder: Path, job: str) -> tuple["subprocess.CompletedProcess[str]", list[str]]:
    kubectl = folder / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    words = {"PATH": f"{folder}:{os.environ['PATH']}", "ASKED": str(folder / "asked"), "JOB": job}
    script = CLONE / "deploy" / "kubernetes" / "apply.sh"
    done = subprocess.run([script, "production"], env=words, capture_output=True, text=True, check=False, timeout=30)
    return done, (folder / "asked").read_text().splitlines()


def test_after_the_migration_every_deployment_is_waited_for(tmp_path: Path) -> None:
    done, asked = _apply(tmp_path, "complete")

    assert done.returncode == 0
    assert asked[1] == "apply -k overlays/production"
    assert [words.split()[4] for words in asked if "rollout status" in words] == [
        "deployment.apps/relay",
        "deployment.apps/scheduler",
    ]


def test_a_failed_migration_is_told_at_once_with_its_last_words_and_nothing_is_waited_for(tmp_path: Path) -> None:
    done, asked = _apply(tmp_path, "failed")

    assert done.returncode == 1
    assert "the old version goes on as it was" in done.stderr
    assert asked[-1] == "-n payment-fleet logs job/migrate --tail=50"
