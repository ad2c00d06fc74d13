"""Queues, workers and machines: scaling signals, and availability of processes and dependencies."""

from deploy.grafana.panels import Board, Panel, Query, one, quantile

QUEUES = Board(
    "fleet-queues",
    "Queues, workers and machines",
    (
        (
            "Scaling signals",
            (
                one(
                    "Messages ready or unacked",
                    "max by (queue_class) (fleet_scale_ready_and_unacked)",
                    "{{queue_class}}",
                ),
                one(
                    "Age of the oldest due message",
                    "max by (queue_class) (fleet_scale_oldest_age_seconds)",
                    "{{queue_class}}",
                    unit="s",
                ),
                one(
                    "Time to drain",
                    "max by (queue_class) (fleet_scale_drain_seconds)",
                    "{{queue_class}}",
                    unit="s",
                ),
            ),
        ),
        (
            "Outbox and relay",
            (
                one("Outbox rows", "max by (state) (fleet_outbox_rows)", "{{state}}"),
                one("Rows published", "sum(rate(fleet_relay_published_total[1m]))", "relays", unit="ops"),
                one("Due rows by queue class", "max by (queue_class) (fleet_scale_outbox_lag_rows)", "{{queue_class}}"),
            ),
        ),
        (
            "Workers",
            (
                one("p99 duration of a run", quantile(0.99, "fleet_message_seconds", "actor"), "{{actor}}", unit="s"),
                one(
                    "Messages processed",
                    "max by (queue_class) (fleet_handled_per_second)",
                    "{{queue_class}}",
                    unit="ops",
                ),
                one("Unacked deliveries", "sum by (queue_class) (fleet_worker_unacked)", "{{queue_class}}"),
            ),
        ),
        (
            "Machines",
            (
                one(
                    "Processes that reach each dependency",
                    "avg by (dependency) (fleet_dependency_up)",
                    "{{dependency}}",
                    unit="percentunit",
                ),
                one("Running processes", "sum by (job) (up)", "{{job}}"),
                Panel(
                    "Longest time without a heartbeat, and oldest snapshot",
                    (
                        Query("max by (job) (fleet_loop_silent_seconds)", "{{job}}"),
                        Query("max(fleet_database_oldest_snapshot_seconds)", "oldest snapshot"),
                    ),
                    unit="s",
                    red_from=60,
                ),
            ),
        ),
        (
            "API",
            (
                one(
                    "Requests",
                    "sum by (operation, status) (rate(fleet_api_requests_total[1m]))",
                    "{{operation}} {{status}}",
                    unit="reqps",
                ),
                one("p99", quantile(0.99, "fleet_api_seconds", "operation"), "{{operation}}", unit="s"),
                one(
                    "Rejected by a rate limit",
                    "sum by (limit) (rate(fleet_api_limited_total[1m]))",
                    "{{limit}}",
                    unit="reqps",
                ),
            ),
        ),
    ),
)
