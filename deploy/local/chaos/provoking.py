"""What makes the fleet pass a named point that no sale passes by itself, or too seldom to be waited for."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from deploy.local.chaos.cases import Scene
from messages.ids import TenantId
from messages.reconciliation import EventSweepDue, PayoutsDue, ReconcileDue
from messages.settings import AppEnv
from outbox.cancelling_events import cancel_event
from outbox.ops.desk import Desk, OpsSettings, RefusedError
from outbox.ops.dispute_desk import DisputeDesk

OPERATOR = "ada"


def provoke(scene: Scene, points: Iterable[str]) -> None:
    """Once for each family of these points."""
    for family in sorted({point.partition(".")[0] for point in points}):
        if family in _PROVOCATIONS:
            _PROVOCATIONS[family](scene)


def _sweep_events(scene: Scene) -> None:
    scene.truth.queue(EventSweepDue(due_at=datetime.now(UTC)))


def _reconcile(scene: Scene) -> None:
    scene.truth.queue(ReconcileDue(span="rolling", due_at=datetime.now(UTC)))


def _pay_out(scene: Scene) -> None:
    scene.control.pay_out()
    scene.truth.queue(PayoutsDue(due_at=datetime.now(UTC)))


def _cancel_an_event(scene: Scene) -> None:
    """A night that was sold long ago, and so is no longer on sale."""
    nights = scene.truth.rows(
        """
        SELECT tenant_id, ticketed_event_id AS event_id FROM orders o
        WHERE NOT EXISTS (SELECT FROM event_cancellations c
                          WHERE (c.tenant_id, c.event_id) = (o.tenant_id, o.ticketed_event_id))
        GROUP BY 1, 2 ORDER BY min(received_at) LIMIT 1
        """
    )
    for night in nights:
        with scene.truth.db.transaction(TenantId(night["tenant_id"])) as tx:
            cancel_event(tx, TenantId(night["tenant_id"]), UUID(str(night["event_id"])), note="chaos", by=OPERATOR)


def _cancel_held(scene: Scene) -> None:
    for payment in scene.truth.held_payments():
        scene.insist("cancel", payment)


def _capture_held(scene: Scene) -> None:
    for payment in scene.truth.held_payments():
        scene.insist("capture", payment)


def _dispute(scene: Scene) -> None:
    for charge in scene.truth.whole_charges()[:1]:
        scene.load.bank.dispute(charge["charge_id"])


def _warn(scene: Scene) -> None:
    for charge in scene.truth.whole_charges()[:1]:
        scene.load.bank.warn(charge["charge_id"])


def _answer_disputes(scene: Scene) -> None:
    """Raise a dispute, and decide those that the book knows: some are answered, some accepted."""
    _dispute(scene)
    settings = OpsSettings(app_env=AppEnv.LOCAL)
    room = DisputeDesk(Desk(scene.truth.db, settings, OPERATOR))
    for row in _answerable(scene):
        decide = room.accept if scene.chance.random() < 0.5 else room.submit
        try:
            decide(row["dispute_id"], reason="chaos")
        except RefusedError as refusal:  # decided by the bank meanwhile
            scene.note(f"a dispute was not answered: {refusal}")


def _answerable(scene: Scene) -> list[dict[str, Any]]:
    return scene.truth.rows(
        "SELECT dispute_id FROM disputes WHERE status IN ('needs_response', 'warning_needs_response') "
        "AND wish IS NULL AND submitted_at IS NULL LIMIT 2"
    )


_PROVOCATIONS: dict[str, Callable[[Scene], None]] = {
    "cancel": _cancel_held,
    "capture": _capture_held,
    "cancel_event": _cancel_an_event,
    "dispute": _dispute,
    "dispute_answer": _answer_disputes,
    "early_warning": _warn,
    "event_sweep": _sweep_events,
    "payouts": _pay_out,
    "reconcile": _reconcile,
}
