"""Payments and money: service levels, what is on its way, what a person must see, tokens and groups."""

from deploy.grafana.panels import Board, Panel, Query, one, stat

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
                    "Tokens a second, by what became of them",
                    "sum by (outcome) (rate(fleet_mints_total[5m]))",
                    "{{outcome}}",
                    unit="ops",
                ),
                Panel(
                    "The signer's balance, in ether",
                    (
                        Query("min(fleet_chain_signer_balance_gwei and fleet_chain_low_balance_gwei > 0) / 1e9", "has"),
                        Query("max(fleet_chain_low_balance_gwei) / 1e9", "alarm below"),
                    ),
                ),
            ),
        ),
    ),
)
