"""Three RabbitMQ nodes in one cluster on this machine, and an on-sale while nodes are killed.

    python -m deploy.local.proofs.cluster [--orders 3000] [--rate 20]

Nobody runs this for every change: it takes minutes. `fleet demo` sells over all three addresses; meanwhile the leader
of the queue `charges` is killed, comes back, another is killed, and at last two of three at once, so that there is no
quorum at all. The exit code is the demo's own: 0 only when `fleet verify` finds nothing lost and nothing twice.
"""

import json
import os
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

from deploy.local.stack.memory import Memory
from deploy.local.stack.rabbitmq import RabbitMQ
from deploy.local.stack.server import Server
from deploy.local.stack.stack import CLONE, Stack

NODES = (1, 2, 3)
WATCH_SECONDS = 25.0
WITHOUT_QUORUM_SECONDS = 15.0


class Node(RabbitMQ):
    """One of three; the port mapper is the cluster's, so that it outlives the node."""

    def __init__(self, directory: Path, memory: Memory, number: int) -> None:
        self.name = f"rabbitmq-{number}"
        self.node = f"fleet{number}@localhost"
        super().__init__(directory, memory)

    def _settings(self) -> str:
        peers = [f"cluster_formation.classic_config.nodes.{n} = fleet{n}@localhost" for n in NODES]
        strs = ["cluster_formation.peer_discovery_backend = classic_config", "queue_leader_locator = balanced"]
        return super()._settings() + "\n".join([*strs, *peers, ""])

    def _start_port_mapper(self, output: int) -> None:
        """It runs already."""

    def _end_port_mapper(self) -> None:
        """The others need it."""


class Cluster:
    def __init__(self, directory: Path) -> None:
        memory = Memory(directory)
        self.mapper = RabbitMQ(directory, memory)  # never started itself; only its port mapper is
        self.nodes = {f"fleet{number}@localhost": Node(directory, memory, number) for number in NODES}

    @property
    def url(self) -> str:
        return ",".join(node.url for node in self.nodes.values())

    def start(self) -> None:
        """All at once: one that finds none of the others waits for them."""
        self.mapper._start_port_mapper(subprocess.DEVNULL)
        with ThreadPoolExecutor() as pool:
            list(pool.map(Server.start, self.nodes.values()))

    def stop(self) -> None:
        for node in self.nodes.values():
            node.kill()
        self.mapper._end_port_mapper()

    def standing(self, queue: str) -> dict[str, Any]:
        """Who leads it and who has a copy, as the first node that lives tells it."""
        alive = next(node for node in self.nodes.values() if node.alive)
        said = alive.control("-q", "list_queues", "name", "leader", "members", "online", "--formatter", "json")
        found: list[dict[str, Any]] = json.loads(said)
        return next(row for row in found if row["name"] == queue)


class Story:
    """What happens meanwhile, and what the book says of it."""

    def __init__(self, cluster: Cluster, environment: Mapping[str, str]) -> None:
        self.cluster = cluster
        self.book = Stack(outside=environment).environment()["MIGRATION_DATABASE_URL"]

    def wait_for_payments(self, number: int, selling: subprocess.Popen[bytes]) -> None:
        while selling.poll() is None:
            try:
                if self._count("SELECT count(*) FROM payments WHERE state = 'succeeded'") >= number:
                    return
            except psycopg.Error:  # the database is not there yet
                pass
            time.sleep(0.5)

    def tell(self) -> None:
        charges = self.cluster.standing("charges")
        _say(f"charges is led by {charges['leader']}, copies on {', '.join(sorted(charges['members']))}")
        leader = self.cluster.nodes[charges["leader"]]
        self._kill("the leader of charges", leader)
        self._back("it is back", leader)
        other = next(node for node in self.cluster.nodes.values() if node is not leader)
        self._kill("another one", other)
        self._back("it is back", other)
        pair = list(self.cluster.nodes.values())[:2]
        _say(f"no quorum: {pair[0].node} and {pair[1].node} are killed")
        for node in pair:
            node.kill()
        time.sleep(WITHOUT_QUORUM_SECONDS)
        with ThreadPoolExecutor() as pool:
            list(pool.map(Server.start, pair))
        self._watch("both are back")

    def _kill(self, what: str, node: Node) -> None:
        node.kill()
        self._watch(f"{what}, {node.node}, is killed")

    def _back(self, what: str, node: Node) -> None:
        node.start()
        self._watch(what)

    def _watch(self, what: str) -> None:
        """From now on: how many payments were done, and the longest time in which there was none."""
        began = self._count("SELECT extract(epoch FROM clock_timestamp())")
        time.sleep(WATCH_SECONDS)
        row = self._row(
            """
            WITH done AS (
                SELECT extract(epoch FROM at) AS at FROM payment_history
                WHERE to_state = 'succeeded' AND at >= to_timestamp(%(began)s)
            ), moments AS (
                SELECT at FROM done UNION ALL SELECT extract(epoch FROM clock_timestamp())
            ), gaps AS (
                SELECT at - lag(at, 1, %(began)s::numeric) OVER (ORDER BY at) AS gap FROM moments
            )
            SELECT (SELECT count(*) FROM done), max(gap) FROM gaps
            """,
            {"began": began},
        )
        _say(f"{what}: in {WATCH_SECONDS:.0f} s {row[0]} payments, the longest pause {row[1]:.1f} s")

    def _count(self, statement: str) -> float:
        return float(self._row(statement, {})[0])

    def _row(self, statement: str, values: dict[str, Any]) -> tuple[Any, ...]:
        with psycopg.connect(self.book, autocommit=True) as connection:
            row = connection.execute(statement, values).fetchone()
        assert row is not None, "an aggregate always returns a row"
        return tuple(row)


def _say(sentence: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {sentence}\n")
    sys.stdout.flush()


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--orders", default="3000")
    parser.add_argument("--rate", default="20")
    namespace = parser.parse_args()
    cluster = Cluster(CLONE / ".local" / "cluster")
    try:
        cluster.start()
        _say("three nodes run")
        environment = {**os.environ, "RABBITMQ_URL": cluster.url}
        command = [sys.executable, "-m", "deploy.cli", "demo", "--orders", namespace.orders, "--rate", namespace.rate]
        with subprocess.Popen(command, cwd=CLONE, env=environment) as selling:
            story = Story(cluster, environment)
            story.wait_for_payments(100, selling)
            story.tell()
            return selling.wait()
    finally:
        cluster.stop()


if __name__ == "__main__":
    sys.exit(main())
