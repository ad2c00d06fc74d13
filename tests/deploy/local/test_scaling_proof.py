"""The autoscaler of the manifests over real worker processes: it grows under a rush and shrinks in mid-work, and every
order is charged exactly once.
"""

import shutil
from pathlib import Path

from deploy.local.proofs.autoscale import MOST, run
from deploy.local.stack.up import lines_for
from deploy.scaling.policy import read_policies
from messages.queue_classes import queue_classes


def test_workers_come_under_a_rush_and_go_in_mid_work_and_nothing_is_lost_or_done_twice(servers_home: Path) -> None:
    least = read_policies()["workers-charges"].least

    home = servers_home.with_name(f"{servers_home.name}-proof")
    try:
        proof, report = run(home, seed=1, orders=150, speed=60.0)
    finally:
        shutil.rmtree(home, ignore_errors=True)

    assert report.clean, report.findings
    assert report.quiet
    assert [workers for _, workers in proof.steps] == [least, MOST, *range(MOST - 1, least - 1, -1)]
    assert (proof.started, proof.stopped) == (MOST, MOST - least)
    assert proof.exit_codes == [0] * proof.stopped
    assert proof.orders >= 150


def test_who_scales_a_class_gets_a_worker_for_each_class_in_the_place_of_the_one_for_all() -> None:
    procfile = {"relay": "python -m outbox.relay", "workers": "python -m workers.main --processes 2 --threads 8"}

    lines = lines_for(procfile, {"charges": 4, "relay": 2})

    assert list(lines) == ["relay", *queue_classes()]
    assert lines["charges"] == "python -m workers.main --processes 1 --threads 8 --queue-class charges"
    assert lines_for(procfile, {"relay": 2}) == procfile
