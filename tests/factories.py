"""Makers of things that do not matter to a test; what matters is passed in."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg

from db.payments import payments
from db.payments.payments import Payment
from db.session import Database
from db.tenants import tenants
from db.tenants.tenants import Tenant, Venue
from messages.fees import FeePlan
from messages.ids import PaymentId, TenantId, VenueId
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome


def tenant(owner: psycopg.Connection, *, currency: str = "eur", plan: FeePlan | None = None) -> Tenant:
    """A registered tenant with one venue; 5 % + 0.50 unless the plan matters."""
    venue = Venue(VenueId(uuid4()), "The Hall", currency, plan or FeePlan(500, 50, currency))
    made = Tenant(TenantId(uuid4()), "A Promoter", (venue,))
    tenants.register(owner, [made])
    return made


def order(of: Tenant, **changes: Any) -> dict[str, Any]:
    """The data of an `order.placed`: two tickets of 21.00 unless the amount matters."""
    amount = changes.pop("amount_minor", 4200)
    venue = of.venues[0]
    return {
        "order_id": str(uuid4()),
        "tenant_id": str(of.tenant_id),
        "venue_id": str(venue.venue_id),
        "event_id": str(uuid4()),
        "buyer_id": "buyer-1",
        "tickets": [
            {"ticket_id": str(uuid4()), "face_price_minor": amount // 2, "seat": "A1"},
            {"ticket_id": str(uuid4()), "face_price_minor": amount - amount // 2, "seat": "A2"},
        ],
        "amount": {"minor": amount, "currency": venue.currency},
        "payment_method_id": "pm_card_visa",
        "idempotency_key": f"click-{uuid4()}",
    } | changes


def event(data: dict[str, Any], **changes: Any) -> bytes:
    """The order as the order service publishes it: CloudEvents 1.0, structured JSON."""
    envelope = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/order-service",
        "type": "order.placed",
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "dataschema": "urn:payment-fleet:order.placed:1",
        "data": data,
    }
    return json.dumps(envelope | changes).encode()


def group(of: Tenant, shares: Sequence[int] = (2000, 2000, 2000), **changes: Any) -> dict[str, Any]:
    """The data of an `order.group_opened`: a ticket for each member, at the price of its share; a day's time."""
    tickets = [
        {"ticket_id": str(uuid4()), "face_price_minor": minor, "seat": f"B{seat}"} for seat, minor in enumerate(shares)
    ]
    members = [
        {
            "member_id": str(uuid4()),
            "buyer_id": f"buyer-{place}",
            "share_minor": minor,
            "ticket_ids": [tickets[place]["ticket_id"]] if "tickets" not in changes else [],
        }
        for place, minor in enumerate(shares)
    ]
    return {
        "group_id": str(uuid4()),
        "tenant_id": str(of.tenant_id),
        "venue_id": str(of.venues[0].venue_id),
        "event_id": str(uuid4()),
        "tickets": tickets,
        "amount": {"minor": sum(shares), "currency": of.venues[0].currency},
        "organiser_id": members[0]["member_id"],
        "members": members,
        "deadline": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    } | changes


def group_event(word: str, data: dict[str, Any]) -> bytes:
    """The event `order.group_<word>`, as the order service publishes it."""
    kind = f"order.group_{word}"
    return event(data, type=kind, dataschema=f"urn:payment-fleet:{kind}:1")


def share(of: dict[str, Any], place: int, **changes: Any) -> dict[str, Any]:
    """The data of an `order.group_share_paid_with` for one member of a group, with a key of its own."""
    member = of["members"][place]
    return {
        "group_id": of["group_id"],
        "tenant_id": of["tenant_id"],
        "member_id": member["member_id"],
        "buyer_id": member["buyer_id"],
        "payment_method_id": "pm_card_visa",
        "idempotency_key": f"click-{uuid4()}",
    } | changes


def requested(db: Database, of: Tenant, **changes: Any) -> Payment:
    """A payment that the intake has just accepted."""
    data = order(of, **changes)
    assert accept(db, [IncomingEvent(event(data))]) == [OrderOutcome.ACCEPTED]
    with db.transaction(of.tenant_id) as tx:
        row = tx.execute("SELECT payment_id FROM payments WHERE order_id = %s", [data["order_id"]]).fetchone()
    assert row is not None
    return reread(db, of.tenant_id, PaymentId(row[0]))


def reread(db: Database, tenant_id: TenantId, payment_id: UUID) -> Payment:
    """The payment as it stands now."""
    with db.transaction(tenant_id) as tx:
        found = payments.get(tx, PaymentId(payment_id))
    assert found is not None
    return found
