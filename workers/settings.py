"""How patient the sweeps are, how far reconciliation looks back, and how long old rows are kept."""

from pydantic import Field

from messages.settings import FleetSettings


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


class RetentionSettings(FleetSettings):
    """The database refuses ages below its own floors (migration 0015)."""

    retain_inbox_days: int = Field(default=90, ge=90, description="how long settled webhook events are kept")
    retain_failures_days: int = Field(default=400, ge=90, description="how long failed runs of messages are kept")
    retain_calls_days: int = Field(default=400, ge=90, description="how long settled calls to Stripe are kept")
    retain_runs_days: int = Field(default=90, ge=30, description="how long finished rolling reconciliations are kept")


# What the periodic work reads; all of it is checked at the start of a worker.
PERIODIC_SETTINGS: tuple[type[FleetSettings], ...] = (
    SweepSettings,
    EventSweepSettings,
    ReconcileSettings,
    RetentionSettings,
    DisputeSettings,
    EventCancellationSettings,
)
