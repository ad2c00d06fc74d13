"""Stripe and webhooks: requests, the rate limiter, webhook deliveries and the time until they are applied."""

from deploy.grafana.panels import Board, Panel, Query, one, quantile

STRIPE = Board(
    "fleet-stripe",
    "Stripe and webhooks",
    (
        (
            "Requests",
            (
                one(
                    "By endpoint family",
                    "sum by (family) (rate(fleet_stripe_calls_total[1m]))",
                    "{{family}}",
                    unit="reqps",
                ),
                one(
                    "Failed requests",
                    'sum by (family, result) (rate(fleet_stripe_calls_total{result!="ok"}[1m]))',
                    "{{family}} {{result}}",
                    unit="reqps",
                ),
                one("p99", quantile(0.99, "fleet_stripe_call_seconds", "family"), "{{family}}", unit="s"),
            ),
        ),
        (
            "Rate limiter and circuit breakers",
            (
                one(
                    "Permits",
                    "sum by (result) (rate(fleet_stripe_permits_total[1m]))",
                    "{{result}}",
                    unit="reqps",
                ),
                one(
                    "429 responses by reason",
                    "sum by (family, reason) (rate(fleet_stripe_rate_limited_total[1m]))",
                    "{{family}} {{reason}}",
                    unit="reqps",
                ),
                Panel(
                    "Open circuit breakers, and workers on a local rate budget",
                    (
                        Query("sum by (family) (fleet_stripe_breaker_open)", "{{family}}"),
                        Query("sum(fleet_stripe_budget_alone)", "local rate budget"),
                    ),
                ),
            ),
        ),
        (
            "Webhooks",
            (
                one(
                    "By outcome",
                    "sum by (outcome) (rate(fleet_intake_webhooks_total[1m]))",
                    "{{outcome}}",
                    unit="reqps",
                ),
                Panel(
                    "Time from receipt to application",
                    (
                        Query(quantile(0.5, "fleet_webhook_applied_seconds"), "p50"),
                        Query(quantile(0.99, "fleet_webhook_applied_seconds"), "p99"),
                    ),
                    unit="s",
                    red_from=0.5,
                ),
                Panel(
                    "Events of 24 h: listed by Stripe, and missed by webhooks",
                    (
                        Query("sum(fleet_event_coverage_listed)", "listed by Stripe"),
                        Query("sum(fleet_event_coverage_missed)", "only by the sweep"),
                    ),
                ),
            ),
        ),
    ),
)
