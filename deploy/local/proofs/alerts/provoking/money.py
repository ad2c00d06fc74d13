"""The ledger, dead letters, and money for which days pass: holds, refunds at the bank, disputes, comparisons."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local.proofs.alerts.provoking.provocation import Provocation, refunds, say
from deploy.local.proofs.alerts.scene import Scene
from messages.sweeps import SweepDue

_DAYS_PASS = (
    "UPDATE payments SET capture_before = clock_timestamp() + interval '20 hours' WHERE state = 'authorized'",
    "UPDATE refunds SET state_since = clock_timestamp() - interval '6 days' WHERE state = 'pending'",
    "UPDATE disputes SET evidence_due_at = clock_timestamp() + interval '20 hours'",
    "UPDATE reconciliation_runs SET finished_at = finished_at - interval '3 days' WHERE state = 'done'",
)


@contextmanager
def _ledger_forged(scene: Scene) -> Iterator[None]:
    scene.superuser(
        "SET session_replication_role = replica; "
        "INSERT INTO ledger_entries SELECT tenant_id, journal_id, 99, account_id, 5, currency "
        "FROM ledger_entries LIMIT 1"
    )
    yield
    scene.superuser("SET session_replication_role = replica; DELETE FROM ledger_entries WHERE line = 99")


@contextmanager
def _dead_letters(scene: Scene) -> Iterator[None]:
    scene.put("fleet.orders", b"this is no order")
    scene.put("webhooks", b"this is no message")
    yield


@contextmanager
def _money_waits(scene: Scene) -> Iterator[None]:
    scene.order_held()
    scene.order(10)
    time.sleep(6)
    refunds(scene)
    scene.order(10)  # one of which is disputed
    time.sleep(8)
    _a_refund_fails(scene)
    _a_dispute(scene)
    _a_refund_waits_at_the_bank(scene)
    time.sleep(3)
    for statement in _DAYS_PASS:
        scene.owner(statement)
    say(scene, lambda due_at: SweepDue(due_at=due_at))
    yield


def _a_refund_fails(scene: Scene) -> None:
    refund_id = scene.one(
        "SELECT stripe_refund_id FROM refunds WHERE state IN ('succeeded', 'pending') ORDER BY created_at LIMIT 1"
    )
    scene.control.finish_refund(refund_id, "fail")


def _a_dispute(scene: Scene) -> None:
    intent_id = scene.one(
        "SELECT payment_intent_id FROM payments p WHERE state = 'succeeded' "
        "AND NOT EXISTS (SELECT FROM refunds r WHERE r.payment_id = p.payment_id) LIMIT 1"
    )
    scene.control.dispute(intent_id)


def _a_refund_waits_at_the_bank(scene: Scene) -> None:
    """Made outside of the fleet; the emulator's bank would not let one wait for days."""
    scene.owner(
        "INSERT INTO refunds (tenant_id, payment_id, amount_minor, currency, reason, source, request_key, "
        "requested_by, stripe_refund_id, state, state_by) "
        "SELECT tenant_id, payment_id, 1, currency, 'outside', 'outside', 'alerts-proof', 'alerts-proof', "
        "'re_alertsproof', 'pending', 'alerts-proof' FROM payments p WHERE state = 'succeeded' "
        "AND NOT EXISTS (SELECT FROM refunds r WHERE r.payment_id = p.payment_id) "
        "AND NOT EXISTS (SELECT FROM disputes d WHERE d.payment_id = p.payment_id) LIMIT 1"
    )


# Before anything else can die; nobody takes these dead letters away.
FIRST = (Provocation("an undecodable message", frozenset({"FleetMoneyDeadLetter", "FleetDeadLetter"}), _dead_letters),)
PROVOCATIONS = (
    Provocation("an entry is slipped into the ledger", frozenset({"FleetLedgerOutOfBalance"}), _ledger_forged),
    Provocation(
        "days pass for holds, refunds, disputes and comparisons",
        frozenset(
            {
                *("FleetHoldsEnding", "FleetRefundsPendingLong", "FleetBuyersOwed", "FleetEvidenceDue"),
                "FleetReconciliationLate",
            }
        ),
        _money_waits,
        moved_time=True,
    ),
)
