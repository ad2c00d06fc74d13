"""Prometheus metrics of intake and relay. Processes of one machine share a folder (PROMETHEUS_MULTIPROC_DIR).

The intake's /metrics adds up all processes that write into the folder. The health server of a process
(outbox/process/health.py) shows those of the process and its forks alone, whoever else writes there, and what it is
given.
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

RELAY_PUBLISHED = Counter("fleet_relay_published", "Outbox rows the broker confirmed")
RELAY_REFUSED = Counter("fleet_relay_refused", "Outbox rows the broker returned or nacked; they stay pending")
RELAY_BATCH_SECONDS = Histogram(
    "fleet_relay_batch_seconds", "Claim to commit of one batch", buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10)
)
INTAKE_ORDERS = Counter("fleet_intake_orders", "Order events by what became of them", ["outcome"])
INTAKE_WEBHOOKS = Counter("fleet_intake_webhooks", "Webhook deliveries by what became of them", ["outcome"])
WEBHOOK_SECONDS = Histogram(
    "fleet_intake_webhook_seconds",
    "Webhook received to answered",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
)
API_REQUESTS = Counter("fleet_api_requests", "Requests of the API by operation and status", ["operation", "status"])
API_SECONDS = Histogram(
    "fleet_api_seconds",
    "API request received to answered",
    ["operation"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
API_ANSWERS = Counter(
    "fleet_api_answers",
    "Requests with an Idempotency-Key: new, replayed (from Valkey: fast, else book), mismatch or in_progress",
    ["outcome"],
)
API_LIMITED = Counter("fleet_api_limited", "Requests refused because a caller's window was full", ["limit"])
MESSAGES = Counter("fleet_messages", "Handled messages by actor and verdict", ["actor", "verdict"])
MESSAGE_SECONDS = Histogram(
    "fleet_message_seconds",
    "Duration of one run of a handler",
    ["actor"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
WEBHOOK_APPLIED_SECONDS = Histogram(
    "fleet_webhook_applied_seconds",
    "Webhook received to applied, by the database's clock; what the book knew at its receipt is not counted",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)
EVENTS_LISTED = Counter(
    "fleet_events_listed", "Events that Stripe lists, by the road on which they came first: webhook or sweep", ["road"]
)
RECONCILED_LINES = Counter(
    "fleet_reconciled_lines", "Balance transactions compared with the book: matched or differing", ["result"]
)

MINTS = Counter("fleet_mints", "Tickets by what became of their token: minted, failed or voided", ["outcome"])
MINTS_HELD_UP = Gauge(
    "fleet_mints_held_up", "1 while nothing can be minted; `fleet mint list` says why", multiprocess_mode="mostrecent"
)
CHAIN_TRANSACTIONS = Counter("fleet_chain_transactions", "Signed transactions by what a node said to them", ["answer"])
CHAIN_REPLACED = Counter("fleet_chain_replaced", "Stuck transactions whose place a dearer one took")
CHAIN_REORGANISED = Counter("fleet_chain_reorganised", "Slots whose block was reorganised away, by state", ["state"])
CHAIN_BALANCE = Gauge(
    "fleet_chain_signer_balance_gwei",
    "What the signer of mints has left; alarm below fleet_chain_low_balance_gwei",
    multiprocess_mode="mostrecent",
)
CHAIN_LOW_BALANCE = Gauge(
    "fleet_chain_low_balance_gwei",
    "CHAIN_LOW_BALANCE_GWEI of a minter that has looked at its signer's balance; 0 elsewhere",
    multiprocess_mode="mostrecent",
)
GROUPS = Counter("fleet_groups", "Moves of groups that pay in shares, by the state they came to", ["state"])
GROUP_SHARES = Counter("fleet_group_shares", "Moves of members of groups, by the state they came to", ["state"])
FORGOTTEN = Counter("fleet_forgotten_rows", "Old rows that retention has deleted", ["table"])


_FILE = re.compile(r"_(\d+)\.db$")
_OF_THE_LIVING = "gauge_live"  # so begin the files of gauges that end with their process


class _OfProcesses(MultiProcessCollector):
    """The files of some processes only: one folder may serve many that are scraped each by itself.

    Without `pids`, of all that ever wrote; what one that was killed had in hand is not in anybody's hands any more.
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
    """The metrics page and its content type; with `pids`, of these processes and this one alone.

    `more` is what a process knows without having counted it.
    """
    registry: CollectorRegistry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        _OfProcesses(registry, None if pids is None else {*pids, os.getpid()})
    body = generate_latest(registry)
    for collector in more:
        body += generate_latest(collector)  # all it asks of a registry is to collect
    return body, CONTENT_TYPE_LATEST
