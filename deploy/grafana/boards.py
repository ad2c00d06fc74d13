"""The dashboards as code: rows of panels, each a question to Prometheus (metrics: deploy/docs/metrics.md).

`python -m deploy.grafana.build` writes deploy/grafana/dashboards/*.json from it; a test compares them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """`legend` is Grafana's: {{label}} stands for the label's value."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`kind`: timeseries, stat or table. `red_from`: the value from which it is bad, for a stat and as a line."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    red_from: float | None = None
    says: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    uid: str
    title: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def one(title: str, expr: str, legend: str = "", **more: object) -> Panel:
    return Panel(title, (Query(expr, legend),), **more)  # type: ignore[arg-type]


def stat(title: str, expr: str, **more: object) -> Panel:
    return Panel(title, (Query(expr),), kind="stat", width=4, **more)  # type: ignore[arg-type]


def _quantile(of: float, metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({of}, sum by ({labels}) (rate({metric}_bucket[5m])))"


MONEY = Board(
    "fleet-money",
    "Payments and money",
    (
        (
            "Service levels",
            (
                stat("Payments answered in time (1 h)", "1 - fleet:payments:bad_ratio_1h", unit="percentunit"),
                stat("Refunds taken in time (1 h)", "1 - fleet:refunds:bad_ratio_1h", unit="percentunit"),
                stat("Webhooks within 500 ms (1 h)", "1 - fleet:webhooks:bad_ratio_1h", unit="percentunit"),
                stat(
                    "Ledger off by",
                    "max(fleet_ledger_imbalance_minor)",
                    red_from=1,
                    says="Minor units. Anything but zero is an incident.",
                ),
                stat("Open dead letters", "sum(fleet_dead_letters_open) or vector(0)", red_from=1),
                stat("Open cases", "sum(fleet_cases_open)", red_from=1),
            ),
        ),
        (
            "Payments",
            (
                one(
                    "Burn rate of the payments' budget",
                    "fleet:payments:bad_ratio_1h / 0.005",
                    "payments",
                    red_from=14.4,
                    says="1 uses the month's budget up in a month; at 14.4 a person is woken.",
                ),
                one(
                    "Orders by what became of them",
                    "sum by (outcome) (rate(fleet_intake_orders_total[1m]))",
                    "{{outcome}}",
                    unit="reqps",
                ),
                one(
                    "Handled messages",
                    "sum by (actor) (rate(fleet_messages_total[1m]))",
                    "{{actor}}",
                    unit="ops",
                ),
            ),
        ),
        (
            "Money whose way is not at its end",
            (
                one("Minor units", "sum by (thing, state) (fleet_money_at_risk_minor)", "{{thing}} {{state}}"),
                one("How many", "sum by (thing, state) (fleet_money_at_risk_items)", "{{thing}} {{state}}"),
                one(
                    "The oldest",
                    "max by (thing, state) (fleet_money_at_risk_oldest_seconds)",
                    "{{thing}} {{state}}",
                    unit="s",
                ),
            ),
        ),
        (
            "What a person must see",
            (
                one("Dead letters", "sum by (actor, cause) (fleet_dead_letters_open)", "{{actor}} {{cause}}"),
                one("Cases", "sum by (type) (fleet_cases_open)", "{{type}}"),
                one(
                    "Failures that are tried again",
                    'sum by (actor) (rate(fleet_messages_total{verdict=~"try_again|try_later"}[1m]))',
                    "{{actor}}",
                    unit="ops",
                ),
            ),
        ),
        (
            "Tokens and groups",
            (
                Panel(
                    "Mints that wait, and groups that stand",
                    (
                        Query("max by (state) (fleet_mints_waiting)", "{{state}}"),
                        Query("max(fleet_mints_held_up)", "held up (1 = nothing can be minted)"),
                        Query("max(fleet_groups_standing)", "groups that stand"),
                    ),
                ),
                one(
                    "Tokens by what became of them",
                    "sum by (outcome) (rate(fleet_mints_total[5m]))",
                    "{{outcome}}",
                    unit="ops",
                ),
                Panel(
                    "The signer's balance, in gwei",
                    (
                        Query("min(fleet_chain_signer_balance_gwei and fleet_chain_low_balance_gwei > 0)", "has"),
                        Query("max(fleet_chain_low_balance_gwei)", "alarm below"),
                    ),
                ),
            ),
        ),
    ),
)

STRIPE = Board(
    "fleet-stripe",
    "Stripe and webhooks",
    (
        (
            "Calls",
            (
                one(
                    "By family",
                    "sum by (family) (rate(fleet_stripe_calls_total[1m]))",
                    "{{family}}",
                    unit="reqps",
                ),
                one(
                    "That did not go well",
                    'sum by (family, result) (rate(fleet_stripe_calls_total{result!="ok"}[1m]))',
                    "{{family}} {{result}}",
                    unit="reqps",
                ),
                one("p99", _quantile(0.99, "fleet_stripe_call_seconds", "family"), "{{family}}", unit="s"),
            ),
        ),
        (
            "Budget and breakers",
            (
                one(
                    "Permits",
                    "sum by (result) (rate(fleet_stripe_permits_total[1m]))",
                    "{{result}}",
                    unit="reqps",
                ),
                one(
                    "429 by reason",
                    "sum by (family, reason) (rate(fleet_stripe_rate_limited_total[1m]))",
                    "{{family}} {{reason}}",
                    unit="reqps",
                ),
                Panel(
                    "Breakers that are open, and workers on their own share",
                    (
                        Query("sum by (family) (fleet_stripe_breaker_open)", "{{family}}"),
                        Query("sum(fleet_stripe_budget_alone)", "on their own share"),
                    ),
                ),
            ),
        ),
        (
            "Webhooks",
            (
                one(
                    "By what became of them",
                    "sum by (outcome) (rate(fleet_intake_webhooks_total[1m]))",
                    "{{outcome}}",
                    unit="reqps",
                ),
                Panel(
                    "Received to applied",
                    (
                        Query(_quantile(0.5, "fleet_webhook_applied_seconds"), "p50"),
                        Query(_quantile(0.99, "fleet_webhook_applied_seconds"), "p99"),
                    ),
                    unit="s",
                    red_from=0.5,
                ),
                Panel(
                    "Coverage of 24 h: events that came by no webhook",
                    (
                        Query("sum(fleet_event_coverage_listed)", "listed by Stripe"),
                        Query("sum(fleet_event_coverage_missed)", "only by the sweep"),
                    ),
                ),
            ),
        ),
    ),
)

QUEUES = Board(
    "fleet-queues",
    "Queues, workers and machines",
    (
        (
            "What scales",
            (
                one(
                    "Ready and with a worker",
                    "max by (queue_class) (fleet_scale_ready_and_unacked)",
                    "{{queue_class}}",
                ),
                one(
                    "The oldest that is due",
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
                one("Rows", "max by (state) (fleet_outbox_rows)", "{{state}}"),
                one("Published", "sum(rate(fleet_relay_published_total[1m]))", "relays", unit="ops"),
                one("Due, by class", "max by (queue_class) (fleet_scale_outbox_lag_rows)", "{{queue_class}}"),
            ),
        ),
        (
            "Workers",
            (
                one("p99 of a run", _quantile(0.99, "fleet_message_seconds", "actor"), "{{actor}}", unit="s"),
                one(
                    "Handled",
                    "max by (queue_class) (fleet_handled_per_second)",
                    "{{queue_class}}",
                    unit="ops",
                ),
                one("In hand", "sum by (queue_class) (fleet_worker_unacked)", "{{queue_class}}"),
            ),
        ),
        (
            "Machines",
            (
                one(
                    "Processes that reach it",
                    "avg by (dependency) (fleet_dependency_up)",
                    "{{dependency}}",
                    unit="percentunit",
                ),
                one("Processes that are there", "sum by (job) (up)", "{{job}}"),
                Panel(
                    "The longest silence of a loop, and the oldest snapshot",
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
                one("p99", _quantile(0.99, "fleet_api_seconds", "operation"), "{{operation}}", unit="s"),
                one(
                    "Refused by a limit",
                    "sum by (limit) (rate(fleet_api_limited_total[1m]))",
                    "{{limit}}",
                    unit="reqps",
                ),
            ),
        ),
    ),
)

BOARDS = (MONEY, STRIPE, QUEUES)
