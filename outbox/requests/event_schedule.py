"""When ticketed events end, which is what escrow waits for. The venue's own word overrules what an order said."""

from collections.abc import Sequence

from db.session import Tx
from db.shares import sale_terms
from db.tenants import tenants
from messages.groups import GroupOpened
from messages.orders import EventScheduled, OrderPlaced
from outbox.requests.refusals import RefusedError


def schedule_event(tx: Tx, event: EventScheduled) -> bool:
    """Record when the event ends; False when that was known.

    Raises:
        RefusedError: the venue is unknown to this tenant.
    """
    if event.venue_id not in tenants.venue_currencies(tx):
        raise RefusedError(f"venue {event.venue_id} is unknown to this tenant")
    schedule = {"event_id": str(event.event_id), "venue_id": str(event.venue_id), "ends_at": event.ends_at.isoformat()}
    return bool(sale_terms.schedule_events(tx, [schedule], overrule=True))


def note_when_events_end(tx: Tx, new: Sequence[OrderPlaced | GroupOpened]) -> None:
    """Record what new orders say about the end of their events; a time that the venue itself gave is not
    overwritten.
    """
    told = [
        {"event_id": str(order.event_id), "venue_id": str(order.venue_id), "ends_at": order.event_ends_at.isoformat()}
        for order in new
        if order.event_ends_at is not None
    ]
    if told:
        sale_terms.schedule_events(tx, told, overrule=False)
