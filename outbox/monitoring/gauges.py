"""Gauges about the database for the person on call, collected by outbox/monitoring/collector.py.

Each part reads in one system transaction of its own, so that a slow or failing one takes no other along. The queries
are in db/monitoring/; here they only get their metric names and labels.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client.metrics_core import Metric

from db.groups import stuck as group_stuck
from db.minting import submissions
from db.monitoring import gauges
from db.monitoring.gauges import LastRunAges
from db.reconciliation import case_views
from db.reconciliation.cases import CaseType
from db.session import Database
from messages.queues import kind_to_message
from outbox.monitoring.collector import Part
from outbox.process.metric_names import shown

LEDGER_SECONDS = 30  # the longest that adding up the whole ledger may take
GROUP_PATIENCE_SECONDS = 1800.0  # by then the sweep has woken a group more than once
MINTS_ON_THEIR_WAY = ("queued", "submitted", "mined")
MINT_STATES = (*MINTS_ON_THEIR_WAY, "voiding", "failed")

_OF_RISK = ("thing", "state", "currency")
AT_RISK = shown(
    "fleet_money_at_risk_minor",
    "Money in unfinished payments, refunds, authorizations, receivables and disputes, in minor units",
    *_OF_RISK,
)
ITEMS = shown(
    "fleet_money_at_risk_items",
    "Number of unfinished payments, refunds, authorizations, receivables and disputes",
    *_OF_RISK,
)
OLDEST = shown("fleet_money_at_risk_oldest_seconds", "Age of the oldest unfinished item", *_OF_RISK)
DEAD_LETTERS = shown(
    "fleet_dead_letters_open", "Open dead letters by cause and actor; alert above zero", "cause", "actor"
)
OLDEST_DEAD_LETTER = shown("fleet_dead_letters_oldest_seconds", "Age of the oldest open dead letter")
CASES = shown("fleet_cases_open", "Open reconciliation cases by type; alert above zero", "type")
MINTS_WAITING = shown("fleet_mints_waiting", "Unfinished mints by state", "state")
MINTS_OLDEST = shown(
    "fleet_mints_oldest_seconds",
    "Time that the oldest unfinished mint with a wallet has been in its state",
    "state",
)
PAYOUTS_CAME_BACK = shown(
    "fleet_recipient_payouts_came_back",
    "Connected accounts whose last payout failed or was returned by the bank; alert above zero",
)
GROUPS_STANDING = shown(
    "fleet_groups_standing",
    "Group payments stuck for half an hour, although the sweep re-enqueues them; alert above zero",
)
OUTBOX = shown("fleet_outbox_rows", "Outbox rows: due, scheduled for later, or rejected by the broker", "state")
RETRIES = shown("fleet_outbox_retries", "Outbox rows that are retries")
UNMATCHED = shown("fleet_webhook_oldest_unmatched_seconds", "Age of the oldest webhook event that matches no payment")
BEHIND = shown("fleet_event_sweep_behind_seconds", "Age of the event sweep's cursor")
RECONCILED = shown("fleet_reconciled_at_seconds", "Unix time of the last completed reconciliation", "span")
LISTED = shown("fleet_event_coverage_listed", "Events of the last 24 hours, as listed by Stripe")
MISSED = shown(
    "fleet_event_coverage_missed", "Events of the last 24 hours that arrived by the event sweep and not by webhook"
)
SNAPSHOT = shown("fleet_database_oldest_snapshot_seconds", "Age of the oldest open database snapshot")
HORIZON = shown(
    "fleet_database_oldest_snapshot_transactions", "Transactions started since the oldest open database snapshot"
)
IMBALANCE = shown("fleet_ledger_imbalance_minor", "Sum of all ledger entries; must be zero", "currency")


@dataclass(slots=True)
class SlowGauge:
    """An expensive part: computed again after `seconds`, and exported unchanged in between.

    When it raises, the last values are not exported either, and the next collection tries again.
    """

    part: Part
    seconds: float
    _last: list[Metric] = field(default_factory=list)
    _again_at: float = 0.0

    def __call__(self) -> list[Metric]:
        if time.monotonic() >= self._again_at:
            self._last = self.part()
            self._again_at = time.monotonic() + self.seconds
        return self._last


def parts(db: Database, *, ledger_seconds: float) -> list[Part]:
    """All gauges, the cheap ones at each collection, the expensive ones every `ledger_seconds`."""

    def of(take: Callable[[Database], list[Metric]]) -> Part:
        return lambda: take(db)

    often = (_money, _letters, _cases, _mints, _watched, _snapshot)
    seldom = (_ledger, _groups, _payouts)
    return [*map(of, often), *(SlowGauge(of(part), ledger_seconds) for part in seldom)]


def _money(db: Database) -> list[Metric]:
    """What is unfinished, by kind, state and currency, in minor units; never added up over currencies."""
    with db.system_transaction() as tx:
        risks = gauges.money_at_risk(tx)
    named = [((risk.thing, risk.state, risk.currency), risk) for risk in risks]
    return [
        AT_RISK.family({labels: risk.amount_minor for labels, risk in named}),
        ITEMS.family({labels: risk.items for labels, risk in named}),
        OLDEST.family({labels: risk.oldest_seconds for labels, risk in named}),
    ]


def _letters(db: Database) -> list[Metric]:
    """A dead letter may name any actor; names that are none of ours count as one, so that a client cannot create time
    series.
    """
    with db.system_transaction() as tx:
        dead = gauges.dead_letters(tx)
    ours = {*kind_to_message(), "orders"}
    counts = Counter[tuple[str, ...]]()
    for each in dead:
        counts[each.cause, each.kind if each.kind in ours else "unknown"] += each.letters
    return [
        DEAD_LETTERS.family(counts),
        OLDEST_DEAD_LETTER.one(max((each.oldest_seconds for each in dead), default=0.0)),
    ]


def _cases(db: Database) -> list[Metric]:
    """Every type of case is exported, also at zero: an alert needs a series before its first increase."""
    with db.system_transaction() as tx:
        counts = {count.type: count.open for count in case_views.open_counts(tx)}
    return [CASES.family({(type_.value,): counts.get(type_, 0) for type_ in CaseType})]


def _mints(db: Database) -> list[Metric]:
    """From the database and not from the minter: mints also wait while no minter is running."""
    with db.system_transaction() as tx:
        counts, oldest = submissions.waiting(tx), gauges.oldest_mints(tx)
    return [
        MINTS_WAITING.family({(state,): counts.get(state, 0) for state in MINT_STATES}),
        MINTS_OLDEST.family({(state,): oldest.get(state, 0.0) for state in MINTS_ON_THEIR_WAY}),
    ]


def _groups(db: Database) -> list[Metric]:
    with db.system_transaction() as tx:
        return [GROUPS_STANDING.one(group_stuck.count(tx, older_than_seconds=GROUP_PATIENCE_SECONDS))]


def _payouts(db: Database) -> list[Metric]:
    with db.system_transaction() as tx:
        return [PAYOUTS_CAME_BACK.one(gauges.payouts_that_came_back(tx))]


def _watched(db: Database) -> list[Metric]:
    """Backlog of the outbox, unmatched webhooks and event coverage, all from one query."""
    with db.system_transaction() as tx:
        ages = gauges.watched(tx)
    states = {"due": ages.outbox_due, "waiting": ages.outbox_waiting, "refused": ages.outbox_refused}
    return [
        OUTBOX.family({(state,): rows for state, rows in states.items()}),
        RETRIES.one(ages.outbox_retries),
        UNMATCHED.one(ages.oldest_unmatched_seconds),
        LISTED.one(ages.events_listed),
        MISSED.one(ages.events_only_by_sweep),
        *_by_the_clock(ages),
    ]


def _by_the_clock(ages: LastRunAges) -> list[Metric]:
    """Times of the last runs; a run that has never taken place has no series, because zero would read as 1970."""
    times = {"rolling": ages.reconciled_rolling_at, "daily": ages.reconciled_daily_at}
    behind = ages.event_sweep_behind_seconds
    return [
        RECONCILED.family({(span,): at for span, at in times.items() if at is not None}),
        *([] if behind is None else [BEHIND.one(behind)]),
    ]


def _snapshot(db: Database) -> list[Metric]:
    """Age of the oldest open snapshot: it keeps vacuum from removing dead outbox rows, which makes the relay's reads
    slow.
    """
    with db.system_transaction() as tx:
        snapshot = gauges.oldest_snapshot(tx)
    return [SNAPSHOT.one(snapshot.seconds), HORIZON.one(snapshot.transactions)]


def _ledger(db: Database) -> list[Metric]:
    """The sum of all entries of the ledger per currency, in minor units: zero, or money was booked one-sidedly."""
    with db.system_transaction(statement_seconds=LEDGER_SECONDS) as tx:
        sums = gauges.ledger_imbalance(tx)
    return [IMBALANCE.family({(currency,): minor for currency, minor in sums.items()})]
