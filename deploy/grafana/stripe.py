"""Stripe and webhooks: requests, rate limits, webhook delivery and processing time."""

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
                    "Failed",
                    'sum by (family, result) (rate(fleet_stripe_calls_total{result!="ok"}[1m]))',
                    "{{family}} {{result}}",
                    unit="reqps",
                ),
                one("p99", quantile(0.99, "fleet_stripe_call_seconds", "family"), "{{family}}", unit="s"),
            ),
        ),
        (
            "Rate limits and circuit breakers",
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
                    "Open circuit breakers, and workers on their local budget",
                    (
                        Query("sum by (family) (fleet_stripe_breaker_open)", "{{family}}"),
                        Query("sum(fleet_stripe_budget_alone)", "workers on their local budget"),
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
                    "Receipt to processing",
                    (
                        Query(quantile(0.5, "fleet_webhook_applied_seconds"), "p50"),
                        Query(quantile(0.99, "fleet_webhook_applied_seconds"), "p99"),
                    ),
                    unit="s",
                    red_from=0.5,
                ),
                Panel(
                    "Event coverage (24 h): events not delivered by webhook",
                    (
                        Query("sum(fleet_event_coverage_listed)", "listed by Stripe"),
                        Query("sum(fleet_event_coverage_missed)", "found only by the sweep"),
                    ),
                ),
            ),
        ),
    ),
)
