"""Payments and money: service levels, money in transit, items that need an operator, mints and group payments."""

from deploy.grafana.panels import Board, Panel, Query, one, stat

MONEY = Board(
    "fleet-money",
    "Payments and money",
    (
        (
            "Service levels",
            (
                stat("Payments answered in time (1 h)", "1 - fleet:payments:bad_ratio_1h", unit="percentunit"),
                stat("Refunds accepted in time (1 h)", "1 - fleet:refunds:bad_ratio_1h", unit="percentunit"),
                stat("Webhooks within 500 ms (1 h)", "1 - fleet:webhooks:bad_ratio_1h", unit="percentunit"),
                stat(
                    "Ledger imbalance",
                    "max(fleet_ledger_imbalance_minor)",
                    red_from=1,
                    says="Minor units. Any value other than zero is an incident.",
                ),
                stat("Open dead letters", "sum(fleet_dead_letters_open) or vector(0)", red_from=1),
                stat("Open cases", "sum(fleet_cases_open)", red_from=1),
            ),
        ),
        (
            "Payments",
            (
                one(
                    "Error budget burn rate of payments",
                    "fleet:payments:bad_ratio_1h / 0.005",
                    "payments",
                    red_from=14.4,
                    says="At 1 the monthly budget lasts exactly a month; at 14.4 the on-call engineer is paged.",
                ),
                one(
                    "Orders by outcome",
                    "sum by (outcome) (rate(fleet_intake_orders_total[1m]))",
                    "{{outcome}}",
                    unit="reqps",
                ),
                one(
                    "Messages processed",
                    "sum by (actor) (rate(fleet_messages_total[1m]))",
                    "{{actor}}",
                    unit="ops",
                ),
            ),
        ),
        (
            "Money in transit",
            (
                one("Amount (minor units)", "sum by (thing, state) (fleet_money_at_risk_minor)", "{{thing}} {{state}}"),
                one("Count", "sum by (thing, state) (fleet_money_at_risk_items)", "{{thing}} {{state}}"),
                one(
                    "Age of the oldest",
                    "max by (thing, state) (fleet_money_at_risk_oldest_seconds)",
                    "{{thing}} {{state}}",
                    unit="s",
                ),
            ),
        ),
        (
            "Needs an operator",
            (
                one("Dead letters", "sum by (actor, cause) (fleet_dead_letters_open)", "{{actor}} {{cause}}"),
                one("Cases", "sum by (type) (fleet_cases_open)", "{{type}}"),
                one(
                    "Failures that are retried",
                    'sum by (actor) (rate(fleet_messages_total{verdict=~"try_again|try_later"}[1m]))',
                    "{{actor}}",
                    unit="ops",
                ),
            ),
        ),
        (
            "Mints and group payments",
            (
                Panel(
                    "Waiting mints and stuck group payments",
                    (
                        Query("max by (state) (fleet_mints_waiting)", "{{state}}"),
                        Query("max(fleet_mints_held_up)", "held up (1 = minting has stopped)"),
                        Query("max(fleet_groups_standing)", "stuck group payments"),
                    ),
                ),
                one(
                    "Mints per second by outcome",
                    "sum by (outcome) (rate(fleet_mints_total[5m]))",
                    "{{outcome}}",
                    unit="ops",
                ),
                Panel(
                    "Signer balance (ether)",
                    (
                        Query(
                            "min(fleet_chain_signer_balance_gwei and fleet_chain_low_balance_gwei > 0) / 1e9", "balance"
                        ),
                        Query("max(fleet_chain_low_balance_gwei) / 1e9", "alert below"),
                    ),
                ),
            ),
        ),
    ),
)
