"""One event of the order service, ready to publish, with the line by which its log remembers it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from messages.base import dataschema
from messages.orders import OrderPlaced

SOURCE = "/order-service"


@dataclass(frozen=True, slots=True)
class Publication:
    """One event to publish, and the line by which the order service remembers that it did."""

    body: bytes
    log: dict[str, str]
    routing_key: str = OrderPlaced.event_type


def event(kind: str, data: dict[str, Any], event_id: str, **changes: Any) -> bytes:
    """A CloudEvent of the order service, version 1; `changes` replace or add attributes of the envelope."""
    envelope = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "dataschema": dataschema(kind, 1),
        "data": data,
    }
    return json.dumps(envelope | changes).encode()


def publication(kind: str, data: dict[str, Any], event_id: str, log: dict[str, str]) -> Publication:
    return Publication(event(kind, data, event_id), log, routing_key=kind)


def order(data: dict[str, Any], kind: str = OrderPlaced.event_type) -> Publication:
    return publication(kind, data, f"evt-{data['order_id']}", {"published": "order", "order_id": data["order_id"]})


def request(kind: str, data: dict[str, Any], name: object) -> Publication:
    """What is asked of an order after it was placed: a refund, a cancellation."""
    event_id = f"request-{data['order_id']}-{name}"
    log = {"published": "wish", "key": f"{SOURCE}#{event_id}", "order_id": data["order_id"]}  # as the checker reads it
    return publication(kind, data, event_id, log)


def placed(publications: Iterable[Publication]) -> list[dict[str, Any]]:
    """The data of the orders among them, without duplicates and poison."""
    return [json.loads(each.body)["data"] for each in publications if each.log.get("published") == "order"]
