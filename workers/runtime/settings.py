"""Settings of the periodic work: sweeps, reconciliation, escrow, statements, retention."""

from pydantic import Field

from messages.runtime.settings import FleetSettings


class SweepSettings(FleetSettings):
    """When the sweep treats work as stuck, and when it opens a case for a person."""

    sweep_after_seconds: float = Field(
        default=300.0, gt=0, description="seconds without progress after which the sweep treats a payment as stuck"
    )
    authentication_timeout_seconds: float = Field(
        default=3_600.0, gt=0, description="seconds a buyer has for 3-D Secure before the payment is cancelled"
    )
    hold_alarm_seconds: float = Field(
        default=86_400.0, gt=0, description="seconds before an authorization expires at which a case is opened"
    )
    refund_alarm_seconds: float = Field(
        default=3 * 86_400.0, gt=0, description="seconds after which an unfinished refund opens a case"
    )


class EventCancellationSettings(FleetSettings):
    """Mass refunds of a cancelled event: what to do while Stripe's balance does not cover them."""

    event_cancellation_despite_balance: bool = Field(
        default=False,
        description="continue a mass refund when Stripe's balance is too small; the refunds then wait at Stripe",
    )
    event_cancellation_balance_seconds: float = Field(
        default=60.0, gt=0, description="seconds between two looks at Stripe's balance while a mass refund waits for it"
    )


class DisputeSettings(FleetSettings):
    """Deadlines of disputes."""

    dispute_alarm_hours: float = Field(
        default=72.0,
        gt=0,
        description="hours before evidence is due at which a case is opened, when none was submitted",
    )
    dispute_unseen_seconds: float = Field(
        default=86_400.0, gt=0, description="seconds after which an open dispute is fetched from Stripe again"
    )


class EventSweepSettings(FleetSettings):
    """The sweep over Stripe's list of events, which finds what no webhook delivered."""

    event_sweep_overlap_seconds: float = Field(
        default=600.0, ge=0, description="seconds that the event sweep starts before its cursor, for clocks that differ"
    )
    event_sweep_settle_seconds: float = Field(
        default=60.0, ge=0, description="seconds within which a new event may still arrive by webhook"
    )


class ReconcileSettings(FleetSettings):
    """The comparison of Stripe's balance transactions, and of shares, with the ledger."""

    reconcile_rolling_hours: float = Field(
        default=2.0, gt=0, description="hours that the rolling reconciliation covers, every five minutes"
    )
    reconcile_daily_days: float = Field(default=3.0, ge=1, description="days that the daily reconciliation covers")
    reconcile_grace_seconds: float = Field(
        default=180.0,
        ge=0,
        description="seconds within which a balance transaction may still be unbooked without a case",
    )
    reconcile_auto_fix_seconds: float = Field(
        default=600.0, ge=0, description="seconds after which the payment of an open case is looked up at Stripe again"
    )


class EscrowSettings(FleetSettings):
    """Stripe's limits: docs.stripe.com/connect/account-balances#holding-funds (90 days; 2 years in the United States,
    10 days in Thailand, by the platform's country, for which the currency of the sale stands here).
    """

    escrow_limit_days: int = Field(default=90, gt=0, description="days that Stripe allows funds to be held")
    escrow_limit_days_of: dict[str, int] = Field(
        default={"usd": 730, "thb": 10},
        description="the same by currency, as a JSON object, where another limit applies",
    )
    escrow_alarm_days: int = Field(default=14, ge=0, description="days before that limit at which a case is opened")
    share_alarm_days: int = Field(
        default=3, gt=0, description="days after which a released share that was not transferred opens a case"
    )
    receivable_limit_minor: int = Field(
        default=100_000, ge=0, description="receivable of a recipient, in minor units, above which a case is opened"
    )


class StatementSettings(FleetSettings):
    """When the weekly statements are due."""

    statement_weekday: int = Field(
        default=1, ge=1, le=7, description="weekday of weekly statements in UTC, 1 Monday to 7 Sunday"
    )
    statement_hour: int = Field(
        default=6, ge=0, le=23, description="hour of that day, in UTC, from which they are made"
    )


class RetentionSettings(FleetSettings):
    """The database refuses ages below its own floors (migration 0015)."""

    retain_inbox_days: int = Field(default=90, ge=90, description="days that settled webhook events are kept")
    retain_failures_days: int = Field(default=400, ge=90, description="days that failed runs of messages are kept")
    retain_calls_days: int = Field(default=400, ge=90, description="days that settled calls to Stripe are kept")
    retain_runs_days: int = Field(default=90, ge=30, description="days that finished rolling reconciliations are kept")
    retain_told_days: int = Field(default=14, ge=7, description="days that published events can be republished")


# What the periodic work reads; all of it is checked at the start of a worker.
PERIODIC_SETTINGS: tuple[type[FleetSettings], ...] = (
    SweepSettings,
    EventSweepSettings,
    ReconcileSettings,
    RetentionSettings,
    DisputeSettings,
    EventCancellationSettings,
    EscrowSettings,
    StatementSettings,
)
