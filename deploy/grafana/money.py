"""Payments and money: service levels, unfinished payments, dead letters and cases, mints and groups."""

from deploy.grafana.panels import Board, Panel, Query, one, stat

MONEY = Board(
    "fleet-money",
    "Payments and money",
    (
        (
            "Service levels",
            (
                stat("Payments within objective (1 h)", "1 - fleet:payments:bad_ratio_1h", unit="percentunit"),
                stat("Refunds within objective (1 h)", "1 - fleet:refunds:bad_ratio_1h", unit="percentunit"),
                stat("Webhooks within 500 ms (1 h)", "1 - fleet:webhooks:bad_ratio_1h", unit="percentunit"),
                stat(
                    "Ledger imbalance",
                    "max(fleet_ledger_imbalance_minor)",
                    red_from=1,
                    says="In minor units. Any value but zero is an incident.",
                ),
                stat("Open dead letters", "sum(fleet_dead_letters_open) or vector(0)", red_from=1),
                stat("Open cases", "sum(fleet_cases_open)", red_from=1),
            ),
        ),
        (
            "Payments",
            (
                one(
                    "Burn rate of the payment error budget",
                    "fleet:payments:bad_ratio_1h / 0.005",
                    "payments",
                    red_from=14.4,
                    says="At 1 the monthly budget lasts a month; at 14.4 the person on call is paged.",
                ),
                one(
                    "Orders by outcome",
                    "sum by (outcome) (rate(fleet_intake_orders_total[1m]))",
                    "{{outcome}}",
                    unit="reqps",
                ),
                one(
                    "Processed messages",
                    "sum by (actor) (rate(fleet_messages_total[1m]))",
                    "{{actor}}",
                    unit="ops",
                ),
            ),
        ),
        (
            "Money in unfinished payments, refunds and disputes",
            (
                one("Minor units", "sum by (thing, state) (fleet_money_at_risk_minor)", "{{thing}} {{state}}"),
                one("Number of items", "sum by (thing, state) (fleet_money_at_risk_items)", "{{thing}} {{state}}"),
                one(
                    "Age of the oldest item",
                    "max by (thing, state) (fleet_money_at_risk_oldest_seconds)",
                    "{{thing}} {{state}}",
                    unit="s",
                ),
            ),
        ),
        (
            "Dead letters, cases and retries",
            (
                one("Dead letters", "sum by (actor, cause) (fleet_dead_letters_open)", "{{actor}} {{cause}}"),
                one("Cases", "sum by (type) (fleet_cases_open)", "{{type}}"),
                one(
                    "Retries",
                    'sum by (actor) (rate(fleet_messages_total{verdict=~"try_again|try_later"}[1m]))',
                    "{{actor}}",
                    unit="ops",
                ),
            ),
        ),
        (
            "Mints and groups",
            (
                Panel(
                    "Unfinished mints, and stuck groups",
                    (
                        Query("max by (state) (fleet_mints_waiting)", "{{state}}"),
                        Query("max(fleet_mints_held_up)", "minting blocked (1 = blocked)"),
                        Query("max(fleet_groups_standing)", "stuck groups"),
                    ),
                ),
                one(
                    "Finished mints per second, by outcome",
                    "sum by (outcome) (rate(fleet_mints_total[5m]))",
                    "{{outcome}}",
                    unit="ops",
                ),
                Panel(
                    "Signer balance, in ether",
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
