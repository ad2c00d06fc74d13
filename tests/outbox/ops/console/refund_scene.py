"""Refunds in the scene, in any state and of any age."""

from typing import Any
from uuid import uuid4

from db.payments.payments import Payment
from tests.outbox.ops.console.scene import Scene


def refunded(scene: Scene, state: str, *, days_ago: int = 0, **changes: Any) -> Payment:
    """A payment that succeeded, and a refund of it that has come to this state; straight into the tables."""
    payment = scene.requested(**changes)
    for step in ("charging", "succeeded"):
        scene.owner.execute(
            "UPDATE payments SET state = %s, platform_fee_minor = 260, payment_intent_id = %s, state_by = 'charge' "
            "WHERE payment_id = %s",
            [step, f"pi_{payment.payment_id.hex}", payment.payment_id],
        )
    scene.owner.execute(
        "INSERT INTO charges (tenant_id, charge_id, payment_id, payment_intent_id, amount_minor, currency) "
        "SELECT tenant_id, %s, payment_id, payment_intent_id, amount_minor, currency FROM payments "
        "WHERE payment_id = %s",
        [f"ch_{payment.payment_id.hex}", payment.payment_id],
    )
    row = scene.owner.execute(
        "INSERT INTO refunds (tenant_id, payment_id, amount_minor, currency, reason, source, request_key, "
        "requested_by, state_by) "
        "VALUES (%s, %s, %s, %s, 'event_cancelled', 'event_cancellation', %s, 'oda', 'oda') RETURNING refund_id",
        [payment.tenant_id, payment.payment_id, payment.amount_minor, payment.currency, str(uuid4())],
    ).fetchone()
    assert row is not None
    way = {"requested": [], "refused": ["sending", "refused"], "failed": ["sending", "succeeded", "failed"]}
    for step in way.get(state, ["sending", state]):
        scene.owner.execute(
            "UPDATE refunds SET state = %s, state_reason = %s, state_by = 'refund', stripe_refund_id = %s "
            "WHERE refund_id = %s",
            [
                step,
                {"failed": "expired_or_canceled_card", "refused": "charge_not_refundable"}.get(step),
                None if step in {"sending", "refused"} else f"re_{row[0].hex}",
                row[0],
            ],
        )
    scene.owner.execute("ALTER TABLE refunds DISABLE TRIGGER USER")
    scene.owner.execute(
        "UPDATE refunds SET state_since = state_since - make_interval(days => %s), "
        "created_at = created_at - make_interval(days => %s) WHERE refund_id = %s",
        [days_ago, days_ago, row[0]],
    )
    scene.owner.execute("ALTER TABLE refunds ENABLE TRIGGER USER")
    return payment
