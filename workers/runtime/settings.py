"""How patient the sweeps are, how far reconciliation looks back, and how long old rows are kept."""

from pydantic import Field

from messages.runtime.settings import FleetSettings


class SweepSettings(FleetSettings):
    sweep_after_seconds: float = Field(
        default=300.0, gt=0, description="how long a payment may stand between two phases before the sweep looks"
    )
    authentication_timeout_seconds: float = Field(
        default=3_600.0, gt=0, description="how long a buyer may leave 3-D Secure alone before the payment is cancelled"
    )
    hold_alarm_seconds: float = Field(
        default=86_400.0, gt=0, description="how long before the end of an authorisation a person is told"
    )
    refund_alarm_seconds: float = Field(
        default=3 * 86_400.0, gt=0, description="how long a refund may be under way before a person is told"
    )


class EventCancellationSettings(FleetSettings):
    event_cancellation_despite_balance: bool = Field(
        default=False,
        description="go on when Stripe's balance is too small, and let the refunds wait at Stripe",
    )
    event_cancellation_balance_seconds: float = Field(
        default=60.0, gt=0, description="how long a mass cancellation waits before it asks for the balance again"
    )


class DisputeSettings(FleetSettings):
    dispute_alarm_hours: float = Field(
        default=72.0, gt=0, description="how many hours before evidence is due a person is told, when none was sent"
    )
    dispute_unseen_seconds: float = Field(
        default=86_400.0, gt=0, description="how long an open dispute may go unseen before Stripe is asked again"
    )


class EventSweepSettings(FleetSettings):
    event_sweep_overlap_seconds: float = Field(
        default=600.0, ge=0, description="how far before its cursor the event sweep begins, for clocks that differ"
    )
    event_sweep_settle_seconds: float = Field(
        default=60.0, ge=0, description="how young an event may be and still be on its way by webhook"
    )


class ReconcileSettings(FleetSettings):
    reconcile_rolling_hours: float = Field(
        default=2.0, gt=0, description="how many hours back the rolling reconciliation looks every five minutes"
    )
    reconcile_daily_days: float = Field(
        default=3.0, ge=1, description="how many days back the daily reconciliation looks"
    )
    reconcile_grace_seconds: float = Field(
        default=180.0, ge=0, description="how young a movement may be and still be on its way into the book"
    )
    reconcile_auto_fix_seconds: float = Field(
        default=600.0, ge=0, description="how long a case stands before its payment is looked up again by itself"
    )


class EscrowSettings(FleetSettings):
    """Stripe's limits: docs.stripe.com/connect/account-balances#holding-funds (90 days; 2 years in the United States,
    10 days in Thailand, by the platform's country, for which the currency of the sale stands here).
    """

    escrow_limit_days: int = Field(default=90, gt=0, description="how long Stripe lets shares be held")
    escrow_limit_days_of: dict[str, int] = Field(
        default={"usd": 730, "thb": 10}, description="the same by currency, as JSON, where another limit holds"
    )
    escrow_alarm_days: int = Field(default=14, ge=0, description="how many days before that limit a person is told")
    share_alarm_days: int = Field(
        default=3, gt=0, description="how long a released share may be on its way before a person is told"
    )
    receivable_limit_minor: int = Field(
        default=100_000, ge=0, description="how much a recipient may owe before a person is told, in minor units"
    )


class StatementSettings(FleetSettings):
    statement_weekday: int = Field(
        default=1, ge=1, le=7, description="the day of weekly statements, 1 Monday to 7 Sunday, in UTC"
    )
    statement_hour: int = Field(default=6, ge=0, le=23, description="the hour of that day from which they are made")


class RetentionSettings(FleetSettings):
    """The database refuses ages below its own floors (migration 0015)."""

    retain_inbox_days: int = Field(default=90, ge=90, description="how long settled webhook events are kept")
    retain_failures_days: int = Field(default=400, ge=90, description="how long failed runs of messages are kept")
    retain_calls_days: int = Field(default=400, ge=90, description="how long settled calls to Stripe are kept")
    retain_runs_days: int = Field(default=90, ge=30, description="how long finished rolling reconciliations are kept")
    retain_told_days: int = Field(default=14, ge=7, description="how long events can be told to other services again")


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
