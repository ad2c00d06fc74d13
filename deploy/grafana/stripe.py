"""Stripe and webhooks: calls, the budget of requests, what came by webhook and how soon it was applied."""

from deploy.grafana.panels import Board, Panel, Query, one, quantile

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
                one("p99", quantile(0.99, "fleet_stripe_call_seconds", "family"), "{{family}}", unit="s"),
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
                        Query(quantile(0.5, "fleet_webhook_applied_seconds"), "p50"),
                        Query(quantile(0.99, "fleet_webhook_applied_seconds"), "p99"),
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
