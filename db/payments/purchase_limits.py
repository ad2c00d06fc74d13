"""How many tickets of an event one buyer may have (M15), counted over single orders and groups together.

The orders are written first and counted afterwards, in the same transaction, under an advisory lock of event and buyer
that is held to the commit. So two orders of one buyer are counted one after the other, and the caller rolls the excess
back. An event without a limit costs one look-up, and no lock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from db.session import Tx


@dataclass(frozen=True, slots=True)
class Excess:
    """A buyer that now has more than it may."""

    event_id: UUID
    buyer_id: str
    tickets: int
    limit: int


def set_limit(tx: Tx, event_id: UUID, tickets_per_buyer: int) -> None:
    """Set an event's limit, in tickets per buyer, from now on; what was sold before is not touched.

    Repeating it is harmless.
    """
    tx.execute(
        """
        INSERT INTO purchase_limits (tenant_id, event_id, tickets_per_buyer)
        VALUES (current_tenant(), %(event)s, %(limit)s)
        ON CONFLICT (tenant_id, event_id) DO UPDATE
        SET tickets_per_buyer = excluded.tickets_per_buyer, set_at = clock_timestamp()
        WHERE purchase_limits.tickets_per_buyer <> excluded.tickets_per_buyer
        """,
        {"event": event_id, "limit": tickets_per_buyer},
    )


def limits_of(tx: Tx, events: Iterable[UUID]) -> dict[UUID, int]:
    """Event -> tickets per buyer, for those of the events that have a limit; an event that is missing is unlimited."""
    rows = tx.execute(
        "SELECT event_id, tickets_per_buyer FROM purchase_limits WHERE event_id = ANY (%(events)s)",
        {"events": list(events)},
    ).fetchall()
    return {row[0]: row[1] for row in rows}


def excess(tx: Tx, limits: dict[UUID, int], buyers: Iterable[tuple[UUID, str]]) -> Excess | None:
    """The first of these (event, buyer) that has more tickets than its limit allows; None when all are within.

    Call it after the orders are written: it counts them, too. Not counted: what came to nothing (declined, canceled,
    given back in full, a group that did not come together). Takes its advisory locks in sorted order and holds them to
    the commit.
    """
    wanted = sorted({(event, buyer) for event, buyer in buyers if event in limits})
    # The seed 25 keeps these locks apart from other advisory locks (13: an event, 0: keys of the API and leaders).
    for event_id, buyer_id in wanted:  # one order of locks for everybody
        tx.execute("SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, 25))", {"name": f"{event_id} {buyer_id}"})
    for event_id, buyer_id in wanted:
        if (tickets := _count(tx, event_id, buyer_id)) > limits[event_id]:
            return Excess(event_id, buyer_id, tickets, limits[event_id])
    return None


def _count(tx: Tx, event_id: UUID, buyer_id: str) -> int:
    row = tx.execute(
        """
        SELECT
            (SELECT coalesce(sum(jsonb_array_length(o.order_data -> 'tickets')), 0)
             FROM payments p
             JOIN orders o ON (o.tenant_id, o.order_id) = (p.tenant_id, p.order_id)
             LEFT JOIN charges c ON (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
             WHERE p.buyer_id = %(buyer)s AND o.ticketed_event_id = %(event)s AND p.group_id IS NULL
               AND p.state NOT IN ('failed', 'canceled') AND coalesce(c.refunded_minor < c.amount_minor, true))
            + (SELECT count(*)
               FROM group_members m
               JOIN groups g USING (tenant_id, group_id)
               JOIN group_tickets t ON (t.tenant_id, t.group_id, t.holder_id) = (m.tenant_id, m.group_id, m.member_id)
               WHERE m.buyer_id = %(buyer)s AND g.event_id = %(event)s
                 AND g.state IN ('open', 'complete', 'settled') AND m.state <> 'refunded')
        """,
        {"buyer": buyer_id, "event": event_id},
    ).fetchone()
    assert row is not None, "a SELECT of scalars always returns a row"
    return int(row[0])
