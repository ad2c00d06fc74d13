"""Order events as the order service publishes them: two seats, one card that works."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

from db.tenants.tenants import Tenant
from messages.base import dataschema
from messages.orders import OrderPlaced


def events(tenant: Tenant, count: int) -> list[bytes]:
    return list(_events(tenant, count))


def _events(tenant: Tenant, count: int) -> Iterator[bytes]:
    now = datetime.now(UTC).isoformat()
    for _ in range(count):
        envelope = {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "/order-service",
            "type": "order.placed",
            "time": now,
            "datacontenttype": "application/json",
            "dataschema": dataschema(OrderPlaced.event_type, OrderPlaced.version),
            "data": _order(tenant),
        }
        yield json.dumps(envelope).encode()


def _order(tenant: Tenant) -> dict[str, object]:
    venue = tenant.venues[0]
    return {
        "order_id": str(uuid4()),
        "tenant_id": str(tenant.tenant_id),
        "venue_id": str(venue.venue_id),
        "event_id": str(uuid4()),
        "buyer_id": "buyer-1",
        "tickets": [
            {"ticket_id": str(uuid4()), "face_price_minor": 2100, "seat": "A1"},
            {"ticket_id": str(uuid4()), "face_price_minor": 2100, "seat": "A2"},
        ],
        "amount": {"minor": 4200, "currency": venue.currency},
        "payment_method_id": "pm_card_visa",
        "idempotency_key": f"click-{uuid4()}",
        "device": {"ip": "203.0.113.7", "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"},
    }
