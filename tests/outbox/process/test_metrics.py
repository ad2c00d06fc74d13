"""The page of all processes that share a folder, after one of them was killed."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.local.stack.stack import CLONE

KILLED_IN_MID_WORK = """
import os, signal
from outbox.process.metrics import MESSAGES
from workers.runtime.load import UNACKED
UNACKED.labels("charges").set(8)
MESSAGES.labels("charge", "done").inc(3)
os.kill(os.getpid(), signal.SIGKILL)
"""
PAGE = "from outbox.process.metrics import exposition; print(exposition()[0].decode())"


def test_what_a_killed_process_counted_stays_and_what_it_had_in_hand_does_not(tmp_path: Path) -> None:
    def run(code: str) -> str:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, cwd=CLONE, capture_output=True, text=True, check=False).stdout

    for _ in range(2):
        run(KILLED_IN_MID_WORK)

    lines = run(PAGE).splitlines()
    assert 'fleet_messages_total{actor="charge",verdict="done"} 6.0' in lines
    assert not any(line.startswith("fleet_worker_unacked{") for line in lines)
