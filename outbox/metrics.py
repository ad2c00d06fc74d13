"""Prometheus metrics of intake and relay. Processes of one machine share a folder (PROMETHEUS_MULTIPROC_DIR).

The intake's /metrics adds up all processes that write into the folder; a process alone in its container serves its own.
"""

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

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
OLDEST_UNMATCHED = Gauge(
    "fleet_webhook_oldest_unmatched_seconds",
    "Age of the oldest webhook event without a payment; alarm above ten minutes",
    multiprocess_mode="mostrecent",
)

EVENTS_LISTED = Counter(
    "fleet_events_listed", "Events that Stripe lists, by the road on which they came first: webhook or sweep", ["road"]
)
EVENT_SWEEP_BEHIND = Gauge(
    "fleet_event_sweep_behind_seconds",
    "How far behind now the event sweep's cursor is; alarm above half an hour",
    multiprocess_mode="mostrecent",
)

RECONCILED_LINES = Counter(
    "fleet_reconciled_lines", "Balance transactions compared with the book: matched or differing", ["result"]
)
RECONCILED_AT = Gauge(
    "fleet_reconciled_at_seconds",
    "When a reconciliation of this span was last finished, as a Unix time; alarm when a daily one is over 36 hours old",
    ["span"],
    multiprocess_mode="mostrecent",
)
CASES_OPEN = Gauge(
    "fleet_cases_open", "Open reconciliation cases by type; alarm above zero", ["type"], multiprocess_mode="mostrecent"
)
EVIDENCE_DUE = Gauge(
    "fleet_disputes_evidence_due",
    "Disputes whose evidence is due soon and was not sent; alarm above zero",
    multiprocess_mode="mostrecent",
)

GROUPS = Counter("fleet_groups", "Moves of groups that pay in shares, by the state they came to", ["state"])
GROUP_SHARES = Counter("fleet_group_shares", "Moves of members of groups, by the state they came to", ["state"])
GROUPS_STANDING = Gauge(
    "fleet_groups_standing",
    "Groups that should have moved and were woken by the sweep; alarm when it stays above zero",
    multiprocess_mode="mostrecent",
)

FORGOTTEN = Counter("fleet_forgotten_rows", "Old rows that retention has deleted", ["table"])


def exposition() -> tuple[bytes, str]:
    """The metrics page and its content type."""
    registry: CollectorRegistry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client ships this one untyped
    return generate_latest(registry), CONTENT_TYPE_LATEST
