"""Prometheus metrics that processes count themselves. Processes of one machine share a folder
(PROMETHEUS_MULTIPROC_DIR).

The intake's /metrics adds up all processes that write into the folder. The health server of a process
(outbox/process/health.py) shows the metrics of that process and its forks only.
"""

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

RELAY_PUBLISHED = Counter("fleet_relay_published", "Outbox rows confirmed by the broker")
RELAY_REFUSED = Counter("fleet_relay_refused", "Outbox rows returned or nacked by the broker; they stay pending")
RELAY_BATCH_SECONDS = Histogram(
    "fleet_relay_batch_seconds",
    "Duration of one relay batch, from claim to commit",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10),
)
INTAKE_ORDERS = Counter("fleet_intake_orders", "Order events by outcome", ["outcome"])
INTAKE_WEBHOOKS = Counter("fleet_intake_webhooks", "Webhook deliveries by outcome", ["outcome"])
WEBHOOK_SECONDS = Histogram(
    "fleet_intake_webhook_seconds",
    "Duration of one webhook request",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
)
API_REQUESTS = Counter("fleet_api_requests", "API requests by operation and status", ["operation", "status"])
API_SECONDS = Histogram(
    "fleet_api_seconds",
    "Duration of one API request",
    ["operation"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
API_ANSWERS = Counter(
    "fleet_api_answers",
    "Requests with an Idempotency-Key: new, replayed (fast: from cache, book: from database), mismatch or in_progress",
    ["outcome"],
)
API_LIMITED = Counter("fleet_api_limited", "API requests rejected by a rate limit", ["limit"])
MESSAGES = Counter("fleet_messages", "Handled messages by actor and verdict", ["actor", "verdict"])
MESSAGE_SECONDS = Histogram(
    "fleet_message_seconds",
    "Duration of one run of an actor",
    ["actor"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
WEBHOOK_APPLIED_SECONDS = Histogram(
    "fleet_webhook_applied_seconds",
    "Time from receipt of a webhook to its application, by the database clock; already known states are not counted",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)
EVENTS_LISTED = Counter("fleet_events_listed", "Stripe events by how they first arrived: webhook or sweep", ["road"])
RECONCILED_LINES = Counter(
    "fleet_reconciled_lines", "Balance transactions compared with the database: matched or differing", ["result"]
)

MINTS = Counter("fleet_mints", "Finished mints: minted, failed or voided", ["outcome"])
MINTS_HELD_UP = Gauge(
    "fleet_mints_held_up",
    "1 while no mint can be submitted; `fleet mint list` shows why",
    multiprocess_mode="mostrecent",
)
CHAIN_TRANSACTIONS = Counter("fleet_chain_transactions", "Submitted transactions by the node's answer", ["answer"])
CHAIN_REPLACED = Counter("fleet_chain_replaced", "Stuck transactions replaced with a higher fee")
CHAIN_REORGANISED = Counter(
    "fleet_chain_reorganised", "Nonces whose block was dropped by a chain reorganisation, by state", ["state"]
)
CHAIN_BALANCE = Gauge(
    "fleet_chain_signer_balance_gwei",
    "Balance of the minting signer; alert below fleet_chain_low_balance_gwei",
    multiprocess_mode="mostrecent",
)
CHAIN_LOW_BALANCE = Gauge(
    "fleet_chain_low_balance_gwei",
    "CHAIN_LOW_BALANCE_GWEI of a minter that has read its signer's balance; 0 in other processes",
    multiprocess_mode="mostrecent",
)
GROUPS = Counter("fleet_groups", "State transitions of group payments, by new state", ["state"])
GROUP_SHARES = Counter("fleet_group_shares", "State transitions of group members, by new state", ["state"])
FORGOTTEN = Counter("fleet_forgotten_rows", "Rows deleted by retention", ["table"])


_FILE = re.compile(r"_(\d+)\.db$")
_OF_THE_LIVING = "gauge_live"  # so begin the files of gauges that end with their process


class _OfProcesses(MultiProcessCollector):
    """The metric files of some processes: one folder may hold those of many that are scraped separately.

    Without `pids`, of all that ever wrote; live gauges of a process that was killed are left out.
    """

    def __init__(self, registry: CollectorRegistry, pids: Collection[int] | None) -> None:
        self._pids = pids
        super().__init__(registry)  # type: ignore[no-untyped-call]  # prometheus_client ships this one untyped

    def collect(self) -> Iterable[Metric]:
        files = [str(file) for file in Path(self._path).glob("*.db") if self._is_ours(file.name)]
        merged: Iterable[Metric] = self.merge(files, accumulate=True)  # type: ignore[no-untyped-call]  # the same
        return merged

    def _is_ours(self, name: str) -> bool:
        found = _FILE.search(name)
        if found is None:
            return False
        if self._pids is None:
            return not name.startswith(_OF_THE_LIVING) or Path(f"/proc/{found[1]}").exists()
        return int(found[1]) in self._pids


def exposition(pids: Collection[int] | None = None, more: Iterable[Collector] = ()) -> tuple[bytes, str]:
    """The metrics page and its content type; with `pids`, only of these processes and this one.

    `more` are collectors of values that the process computes on demand; they run on the calling thread. Without
    PROMETHEUS_MULTIPROC_DIR there are no files, and the page shows this process alone.
    """
    registry: CollectorRegistry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        _OfProcesses(registry, None if pids is None else {*pids, os.getpid()})
    body = generate_latest(registry)
    for collector in more:
        body += generate_latest(collector)  # all it asks of a registry is to collect
    return body, CONTENT_TYPE_LATEST
