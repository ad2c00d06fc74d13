"""What makes the fleet pass a named point that no sale passes by itself, or too seldom to be waited for."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from db.shares import sale_terms
from deploy.local.proofs.chaos.at_shares import take_back_paid
from deploy.local.proofs.chaos.cases import Scene
from messages.ids import TenantId
from messages.reconciliation import ConnectedPayoutsDue, EventSweepDue, PayoutsDue, ReconcileDue, ShareReconciliationDue
from messages.runtime.settings import AppEnv
from messages.shares import EscrowDue, StatementsDue
from outbox.ops.session import Operator, OpsSettings
from outbox.requests.mass_refunds import cancel_event
from outbox.requests.operators.disputes import accept_loss, submit_evidence
from outbox.requests.operators.shares import release
from outbox.requests.refusals import RefusedError

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
    """An event that was sold long ago, and so is no longer on sale."""
    events = scene.truth.rows(
        """
        SELECT tenant_id, ticketed_event_id AS event_id FROM orders o
        WHERE NOT EXISTS (SELECT FROM event_cancellations c
                          WHERE (c.tenant_id, c.event_id) = (o.tenant_id, o.ticketed_event_id))
        GROUP BY 1, 2 ORDER BY min(received_at) LIMIT 1
        """
    )
    for event in events:
        with scene.truth.db.transaction(TenantId(event["tenant_id"])) as tx:
            cancel_event(tx, TenantId(event["tenant_id"]), UUID(str(event["event_id"])), note="chaos", by=OPERATOR)


def _cancel_held(scene: Scene) -> None:
    for payment in scene.truth.held_payments():
        scene.insist("cancel", payment)


def _capture_held(scene: Scene) -> None:
    for payment in scene.truth.held_payments():
        scene.insist("capture", payment)


def _dispute(scene: Scene) -> None:
    for charge in scene.truth.whole_charges()[:1]:
        scene.load.stripe_side.dispute(charge["charge_id"])


def _warn(scene: Scene) -> None:
    for charge in scene.truth.whole_charges()[:1]:
        scene.load.stripe_side.warn(charge["charge_id"])


def _answer_disputes(scene: Scene) -> None:
    """Raise a dispute, and decide those that the book knows: some are answered, some accepted."""
    _dispute(scene)
    settings = OpsSettings(app_env=AppEnv.LOCAL)
    operator = Operator(scene.truth.db, settings, OPERATOR)
    for row in _answerable(scene):
        decide = accept_loss if scene.chance.random() < 0.5 else submit_evidence
        try:
            with operator.transaction() as acting:
                decide(acting, row["dispute_id"], reason="chaos")
        except RefusedError as refusal:  # decided by the bank meanwhile
            scene.note(f"a dispute was not answered: {refusal}")


def _answerable(scene: Scene) -> list[dict[str, Any]]:
    return scene.truth.rows(
        "SELECT dispute_id FROM disputes WHERE status IN ('needs_response', 'warning_needs_response') "
        "AND wish IS NULL AND submitted_at IS NULL LIMIT 2"
    )


def _take_shares_back(scene: Scene) -> None:
    take_back_paid(scene)


def _let_shares_go(scene: Scene) -> None:
    """Some held sale's event is over, as the order service says now; escrow looks each minute, and here at once."""
    for held in scene.truth.rows(
        """
        SELECT d.tenant_id, d.event_id, p.venue_id FROM distributions d JOIN payments p USING (tenant_id, payment_id)
        WHERE d.released_at IS NULL ORDER BY d.frozen_at LIMIT 1
        """
    ):
        with scene.truth.db.transaction(TenantId(held["tenant_id"])) as tx:
            over = {name: str(held[name]) for name in ("event_id", "venue_id")} | {"ends_at": "2020-01-01T00:00:00Z"}
            sale_terms.schedule_events(tx, [over], overrule=True)
    scene.truth.queue(EscrowDue(due_at=datetime.now(UTC)))


def _release_by_hand(scene: Scene) -> None:
    """An operator lets the shares of one sale go before its event is over."""
    operator = Operator(scene.truth.db, OpsSettings(app_env=AppEnv.LOCAL), OPERATOR)
    for held in scene.truth.rows(
        "SELECT payment_id FROM distributions d JOIN shares s USING (tenant_id, payment_id) "
        "WHERE d.released_at IS NULL AND s.state = 'held' AND s.amount_minor > 0 ORDER BY d.frozen_at DESC LIMIT 1"
    ):
        try:
            with operator.transaction() as acting:
                release(acting, held["payment_id"], note="chaos")
        except RefusedError as refusal:  # it went by itself, or somebody has asked already
            scene.note(f"shares were not released: {refusal}")


def _pay_out_recipients(scene: Scene) -> None:
    """Recipients are paid by Stripe to their bank; what each payout contained is asked for."""
    accounts = scene.truth.rows(
        "SELECT DISTINCT account_id FROM transfers WHERE state = 'paid' AND account_id IS NOT NULL ORDER BY 1 LIMIT 2"
    )
    for row in accounts:
        scene.control.pay_out(row["account_id"])
        scene.truth.queue(ConnectedPayoutsDue(due_at=datetime.now(UTC), account_id=row["account_id"]))


def _compare_shares(scene: Scene) -> None:
    scene.truth.queue(ShareReconciliationDue(span="rolling", due_at=datetime.now(UTC)))


def _settle_a_week(scene: Scene) -> None:
    """One artist, none of whose shares lie in escrow, has chosen weekly settlement, and its week is over."""
    scene.truth.change(
        """
        UPDATE recipients SET settlement = 'weekly'
        WHERE recipient_id = (
            SELECT min(recipient_id::text)::uuid FROM recipients r
            WHERE kind = 'artist' AND EXISTS (SELECT FROM shares s WHERE s.recipient_id = r.recipient_id)
              AND NOT EXISTS (SELECT FROM shares s WHERE s.recipient_id = r.recipient_id AND s.state = 'held'))
        """
    )
    scene.truth.change(
        "UPDATE shares SET state_since = state_since - interval '8 days' "
        "WHERE state = 'released' AND waits_for = 'statement'"
    )
    scene.truth.queue(StatementsDue(due_at=datetime.now(UTC)))


# What buyers, the back office and every sale with shares bring about all the time.
BY_THEMSELVES = frozenset({"api", "refund", "share", "transfer"})
_PROVOCATIONS: dict[str, Callable[[Scene], None]] = {
    "cancel": _cancel_held,
    "capture": _capture_held,
    "cancel_event": _cancel_an_event,
    "connected_payouts": _pay_out_recipients,
    "dispute": _dispute,
    "dispute_answer": _answer_disputes,
    "early_warning": _warn,
    "event_sweep": _sweep_events,
    "payouts": _pay_out,
    "reconcile": _reconcile,
    "escrow": _let_shares_go,
    "operator_request": _release_by_hand,
    "royalty_reconcile": _compare_shares,
    "statements": _settle_a_week,
    "transfer_reversal": _take_shares_back,
}
PROVOKED = frozenset(_PROVOCATIONS)
