"""Payments that are disputed, and what tests do about them and look up afterwards."""

from typing import Any

from db.disputes import disputes
from db.disputes.disputes import Dispute
from db.payments.payments import Payment
from db.session import Database
from messages.disputes import DisputeCloseRequested, DisputeLookupRequested, EvidenceSubmissionRequested
from stripe_client.gateway import Gateway
from tests.workers.webhooks.scenario import drain, events_of
from workers.disputes.look_up import dispute_lookup

FAMILIES = ("charge.dispute.", "radar.")


def dispute_events(gateway: Gateway) -> list[dict[str, Any]]:
    """Events of disputes and warnings that Stripe made so far, oldest first."""
    return [event for event in events_of(gateway) if event["type"].startswith(FAMILIES)]


def hear(db: Database, gateway: Gateway) -> None:
    """Drain every event of disputes and warnings there has been; those known before change nothing."""
    drain(db, gateway, dispute_events(gateway))


def look(db: Database, gateway: Gateway, payment: Payment, dispute_id: str) -> Dispute:
    message = DisputeLookupRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id, dispute_id=dispute_id)
    dispute_lookup(message, db, gateway)
    return reread(db, payment, dispute_id)


def reread(db: Database, payment: Payment, dispute_id: str) -> Dispute:
    with db.transaction(payment.tenant_id) as tx:
        found = disputes.get(tx, dispute_id)
    assert found is not None
    return found


def decided(db: Database, dispute: Dispute, wish: str, evidence: dict[str, str] | None = None) -> Any:
    """What an operator leaves behind: the draft, the wish, and the message that carries it out."""
    with db.ops_transaction() as tx:
        if evidence is not None:
            assert disputes.write_evidence(tx, dispute.dispute_id, evidence, by="ada")
        assert disputes.decide(tx, dispute.dispute_id, wish, by="ada")
    kind = EvidenceSubmissionRequested if wish == "submit" else DisputeCloseRequested
    return kind(tenant_id=dispute.tenant_id, payment_id=dispute.payment_id, dispute_id=dispute.dispute_id)
