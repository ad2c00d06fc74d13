"""Gauges for the collector (outbox/monitoring/gauges.py), over all tenants. Reads only, in a system transaction."""

from dataclasses import dataclass

from psycopg.rows import class_row

from db.refunds.overdue import OWED
from db.session import Tx
from messages.queues import ORDERS_QUEUE

# A hold that ends within this is money at risk: a day is what a person needs.
HOLD_ENDS_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class MoneyAtRisk:
    """Money that is not where it should end, by state and currency. `thing` is one of these:

    payment   requested and not settled
    refund    requested and not settled
    hold      an authorisation that ends within HOLD_ENDS_SECONDS, and was not cancelled
    owed      a refund that failed and that the buyer is owed (db/refunds/overdue.py)
    dispute   open
    """

    thing: str
    state: str
    currency: str
    items: int
    amount_minor: int
    oldest_seconds: float


def money_at_risk(tx: Tx) -> list[MoneyAtRisk]:
    """Every kind, state and currency that has any; one that has none has no row, and its gauge must be set to zero."""
    with tx.cursor(row_factory=class_row(MoneyAtRisk)) as cursor:
        return cursor.execute(
            """
            WITH open AS (
                SELECT 'payment' AS thing, state, currency, amount_minor, state_since AS since FROM payments
                WHERE state IN ('requested', 'charging', 'requires_action', 'processing')
                UNION ALL
                SELECT 'refund', state, currency, amount_minor, state_since FROM refunds
                WHERE state IN ('requested', 'sending', 'pending', 'requires_action')
                UNION ALL
                SELECT 'hold', state, currency, amount_minor, state_since FROM payments
                WHERE state = 'authorized' AND cancel_requested_at IS NULL
                  AND capture_before < clock_timestamp() + make_interval(secs => %(ends)s)
                UNION ALL
                SELECT 'owed', r.state, r.currency, r.amount_minor, r.state_since FROM refunds r
                WHERE """
            + OWED
            + """
                UNION ALL
                SELECT 'dispute', status, currency, amount_minor, status_since FROM disputes
                WHERE status NOT IN ('won', 'lost', 'warning_closed', 'prevented')
            )
            SELECT thing, state, currency, count(*) AS items, sum(amount_minor)::bigint AS amount_minor,
                   extract(epoch FROM clock_timestamp() - min(since))::float8 AS oldest_seconds
            FROM open GROUP BY thing, state, currency
            """,
            {"ends": HOLD_ENDS_SECONDS},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class DeadLetterCount:
    """Open dead letters of one cause and kind; `kind` None: not even its kind could be read."""

    cause: str
    kind: str | None
    letters: int
    oldest_seconds: float


def dead_letters(tx: Tx) -> list[DeadLetterCount]:
    """Open ones, by cause and by the message kind; those of an order event are counted as `orders`."""
    with tx.cursor(row_factory=class_row(DeadLetterCount)) as cursor:
        return cursor.execute(
            """
            SELECT cause, CASE WHEN source = 'orders' OR queue = %(orders)s THEN 'orders' ELSE kind END AS kind,
                   count(*) AS letters, extract(epoch FROM clock_timestamp() - min(died_at))::float8 AS oldest_seconds
            FROM dead_letters WHERE state = 'open' GROUP BY 1, 2
            """,
            {"orders": ORDERS_QUEUE},
        ).fetchall()


def oldest_mints(tx: Tx) -> dict[str, float]:
    """State -> for how many seconds the oldest ticket has been in it, of those on their way to a token.

    Those without a wallet are left out: they wait for their venue. Confirmed ones are never read: queued ones have an
    index of their own, and sent ones are found through the few transactions that are open.
    """
    rows = tx.execute(
        """
        WITH on_their_way AS (
            SELECT state, state_since FROM mints
            WHERE state = 'queued' AND to_address IS NOT NULL AND void_wanted_at IS NULL
            UNION ALL
            SELECT m.state, m.state_since FROM slots s JOIN mints m ON m.slot_id = s.slot_id
            WHERE s.state IN ('open', 'mined') AND m.state IN ('submitted', 'mined')
        )
        SELECT state, extract(epoch FROM clock_timestamp() - min(state_since))::float8 FROM on_their_way GROUP BY state
        """
    ).fetchall()
    return dict(rows)


def payouts_that_came_back(tx: Tx) -> int:
    """How many (account, currency) had their last payout refused or returned by the bank; a later paid one ends it.

    One look into the index for each account, however many payouts there were.
    """
    row = tx.execute(
        """
        SELECT count(*) FROM connected_balances b CROSS JOIN LATERAL (
            SELECT p.status FROM connected_payouts p
            WHERE p.account_id = b.account_id AND p.currency = b.currency AND p.status IN ('paid', 'failed')
            ORDER BY p.created_at DESC LIMIT 1
        ) last WHERE last.status = 'failed'
        """
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row[0])


@dataclass(frozen=True, slots=True)
class LastRunAges:
    """Counts of the outbox and of events in 24 hours, ages in seconds, and times as seconds since 1970.

    oldest_unmatched_seconds     0 when no event is unmatched
    event_sweep_behind_seconds   None: the list of events was never read
    reconciled_..._at            when the last such run finished, a time and no age; None: none ever did
    """

    outbox_due: int
    outbox_waiting: int
    outbox_refused: int
    outbox_retries: int
    oldest_unmatched_seconds: float
    event_sweep_behind_seconds: float | None
    reconciled_rolling_at: float | None
    reconciled_daily_at: float | None
    events_listed: int
    events_only_by_sweep: int


def watched(tx: Tx) -> LastRunAges:
    """One reading of all of them. It counts the whole outbox, so it belongs into the collector's interval."""
    with tx.cursor(row_factory=class_row(LastRunAges)) as cursor:
        ages = cursor.execute(
            """
            WITH rows AS (
                SELECT count(*) FILTER (WHERE due_at <= clock_timestamp()) AS due,
                       count(*) FILTER (WHERE due_at > clock_timestamp()) AS waiting,
                       count(*) FILTER (WHERE refusals > 0) AS refused,
                       count(*) FILTER (WHERE attempt > 1) AS retries
                FROM outbox
            ), coverage AS (
                SELECT coalesce(sum(listed), 0)::bigint AS listed,
                       coalesce(sum(only_by_sweep), 0)::bigint AS only_by_sweep
                FROM event_coverage WHERE hour > clock_timestamp() - interval '24 hours'
            )
            SELECT
                rows.due AS outbox_due, rows.waiting AS outbox_waiting, rows.refused AS outbox_refused,
                rows.retries AS outbox_retries,
                coalesce((SELECT extract(epoch FROM clock_timestamp() - min(received_at)) FROM webhook_inbox
                          WHERE state = 'unmatched'), 0)::float8 AS oldest_unmatched_seconds,
                (SELECT extract(epoch FROM clock_timestamp() - swept_until) FROM event_sweep)::float8
                    AS event_sweep_behind_seconds,
                (SELECT extract(epoch FROM max(finished_at)) FROM reconciliation_runs
                 WHERE state = 'done' AND span = 'rolling')::float8 AS reconciled_rolling_at,
                (SELECT extract(epoch FROM max(finished_at)) FROM reconciliation_runs
                 WHERE state = 'done' AND span = 'daily')::float8 AS reconciled_daily_at,
                coverage.listed AS events_listed, coverage.only_by_sweep AS events_only_by_sweep
            FROM rows, coverage
            """
        ).fetchone()
    assert ages is not None, "aggregates without GROUP BY always return a row"
    return ages


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The oldest that anybody holds in this database: VACUUM keeps every row that it may still see."""

    transactions: int
    seconds: float


def oldest_snapshot(tx: Tx) -> Snapshot:
    """Sessions, prepared transactions and replication slots; slots tell no time. The times of other roles' sessions are
    seen with pg_read_all_stats only (db/roles.sql grants it); without it their transactions still count.
    """
    with tx.cursor(row_factory=class_row(Snapshot)) as cursor:
        snapshot = cursor.execute(
            """
            WITH holders AS (
                SELECT backend_xmin AS xmin, xact_start AS since FROM pg_stat_activity
                WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'
                  AND (datname = current_database() OR datname IS NULL)
                UNION ALL
                SELECT transaction, prepared FROM pg_prepared_xacts WHERE database = current_database()
                UNION ALL
                SELECT xmin, NULL FROM pg_replication_slots WHERE xmin IS NOT NULL
            )
            SELECT coalesce(max(age(xmin)), 0) AS transactions,
                   coalesce(extract(epoch FROM clock_timestamp() - min(since)), 0)::float8 AS seconds
            FROM holders
            """
        ).fetchone()
    assert snapshot is not None, "an aggregate without GROUP BY always returns a row"
    return snapshot


def ledger_imbalance(tx: Tx) -> dict[str, int]:
    """Currency -> how far each tenant's entries are from zero, absolute amounts added up; 0 everywhere is correct (M4).

    It reads the whole ledger, so seldom, and in a transaction that was given more statement time.
    """
    rows = tx.execute(
        """
        SELECT currency, sum(abs(off))::bigint
        FROM (SELECT tenant_id, currency, sum(amount_minor) AS off FROM ledger_entries GROUP BY 1, 2) AS by_tenant
        GROUP BY currency
        """
    ).fetchall()
    return {str(row[0]): int(row[1]) for row in rows}
