"""sweep, for disputes: what nobody carried out or looked at is moved on, and a deadline that comes near is an alarm."""

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest

from db.disputes.disputes import Dispute
from db.disputes.states import DisputeStatus
from db.payments.payments import Payment
from db.reconciliation import case_views
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.sweeps import SweepDue
from stripe_client.gateway import Gateway
from tests.workers.disputes.scenario import decided, hear, look, reread
from tests.workers.ledger.scenario import events_told
from tests.workers.refunds.scenario import charged
from workers.disputes.answer import dispute_evidence
from workers.sweep import sweep

Sweep = Callable[[], list[str]]


@pytest.fixture
def payment(db: Database, gateway: Gateway, tenant: Tenant) -> Payment:
    return charged(db, gateway, tenant, amount_minor=4200)


@pytest.fixture
def dispute(db: Database, gateway: Gateway, stripe_control: EmulatorControl, payment: Payment) -> Dispute:
    made = stripe_control.dispute(payment.payment_intent_id or "")
    hear(db, gateway)
    return reread(db, payment, made["id"])


@pytest.fixture
def swept(db: Database, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Every message of ours is lost; the sweep runs, and says what kinds of messages it appended."""
    monkeypatch.setenv("APP_ENV", "test")

    def run() -> list[str]:
        owner.execute("DELETE FROM outbox WHERE exchange = ''")
        sweep(SweepDue(due_at=datetime.now(UTC)), db)
        return [row[0] for row in owner.execute("SELECT kind FROM outbox WHERE exchange = '' ORDER BY id").fetchall()]

    return run


def open_cases(db: Database) -> list[tuple[str, str]]:
    with db.system_transaction() as tx:
        return [(case.type, case.subject) for case in case_views.find(tx)]


def test_an_open_dispute_is_looked_at_again_after_a_day_and_not_before(
    owner: psycopg.Connection, dispute: Dispute, swept: Sweep
) -> None:
    assert swept() == []

    owner.execute("UPDATE disputes SET looked_at = looked_at - interval '25 hours'")

    assert swept() == ["dispute_lookup"]
    assert swept() == []  # it is with a worker now, or will be woken again later


def test_a_closed_dispute_is_left_alone_unless_its_money_is_not_all_booked(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    payment: Payment,
    dispute: Dispute,
    swept: Sweep,
) -> None:
    stripe_control.decide_dispute(dispute.dispute_id, "won")
    look(db, gateway, payment, dispute.dispute_id)
    owner.execute("UPDATE disputes SET looked_at = looked_at - interval '25 hours'")
    assert swept() == []

    owner.execute("ALTER TABLE dispute_movements DISABLE TRIGGER USER")
    owner.execute("DELETE FROM dispute_movements WHERE category = 'dispute_reversal'")

    assert swept() == ["dispute_lookup"]


@pytest.mark.parametrize(("wish", "kind"), [("submit", "dispute_evidence"), ("accept", "dispute_close")])
def test_a_decision_whose_message_was_lost_is_carried_out_after_all(
    db: Database, owner: psycopg.Connection, dispute: Dispute, swept: Sweep, wish: str, kind: str
) -> None:
    decided(db, dispute, wish)
    owner.execute("UPDATE disputes SET wish_at = wish_at - interval '1 hour'")

    assert swept() == [kind]


def test_a_deadline_that_comes_near_is_a_case_and_an_event_and_ends_with_the_answer(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    dispute: Dispute,
    payment: Payment,
    swept: Sweep,
) -> None:
    swept()
    assert open_cases(db) == []

    owner.execute("UPDATE disputes SET evidence_due_at = now() + interval '71 hours'")
    swept()
    swept()

    assert open_cases(db) == [("dispute_evidence_due", f"{dispute.dispute_id}/chargeback")]
    assert events_told(owner).count("dispute.evidence_due") == 1

    dispute_evidence(decided(db, dispute, "submit", {"uncategorized_text": "scanned"}), db, gateway)
    swept()

    assert reread(db, payment, dispute.dispute_id).status is DisputeStatus.UNDER_REVIEW
    assert open_cases(db) == []


def test_an_escalation_is_an_alarm_of_its_own(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    payment: Payment,
    swept: Sweep,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DISPUTE_ALARM_HOURS", "1000000")
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "", inquiry=True)["id"]
    hear(db, gateway)
    swept()
    assert open_cases(db) == [("dispute_evidence_due", f"{dispute_id}/inquiry")]

    stripe_control.decide_dispute(dispute_id, "needs_response")
    hear(db, gateway)
    swept()

    assert open_cases(db) == [("dispute_evidence_due", f"{dispute_id}/chargeback")]
