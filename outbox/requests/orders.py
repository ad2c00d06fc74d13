"""take: accept orders, whoever has read them. One statement writes order, payment and history, and the
ChargeRequested follows in the same transaction, which is the caller's. An order of a cancelled event is never charged.

Harmless twice: the order's id is unique, and the same order again changes nothing. The same id with another body
contradicts the first one and is refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

import orjson
import uuid_utils.compat as uuid_utils
from loguru import logger

from db.payments import orders, payments, purchase_limits
from db.payments.orders import NewOrder
from db.refunds import mass_refunds
from db.session import Tx
from db.shares import sale_terms
from db.tenants import tenants
from db.transfers import recipients
from messages.base import Message, WireModel
from messages.groups import GroupOpened
from messages.ids import PaymentId, TenantId
from messages.orders import OrderPlaced
from messages.payments import ChargeRequested
from messages.refunds import CancelRequested
from messages.resales import OrderResold, ResaleRule, outside_of
from messages.runtime.redaction import redact_value
from outbox.append import append_traced
from outbox.requests.event_schedule import note_when_events_end


class OrderOutcome(StrEnum):
    """What became of one order event.

    ACCEPTED: recorded now. DUPLICATE: recorded before, with the same content. DEAD: stored as a dead letter. POSTPONED:
    queued again, because another transaction locks its payment.
    """

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    DEAD = "dead"
    POSTPONED = "postponed"  # somebody holds its payment; it comes back by itself


class UnacceptableOrder(Exception):  # noqa: N818  it names what the order is; each door tells it in its own way
    """The order cannot be accepted, ever; the sentence says why."""


class ContradictoryOrder(UnacceptableOrder):
    """Another order is known by the same id; the first one stands."""


# Optional fields of an order that its first version did not have.
ADDED_LATER = frozenset({"event_ends_at"})


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order that was read. `source` and `source_id` name it as its sender does, `payment_id` is for a new payment.

    `fingerprint` is the SHA-256 of the order in canonical form: it tells a repetition from a contradiction.
    """

    order: OrderPlaced
    source: str
    source_id: str
    trace_id: str
    payment_id: PaymentId
    fingerprint: bytes
    group_id: UUID | None = None  # the order is a share of this group's

    @classmethod
    def of(
        cls, order: OrderPlaced, *, source: str, source_id: str, trace_id: str, group_id: UUID | None = None
    ) -> "OrderRequest":
        """The request for an order, with a new payment id (UUIDv7); a duplicate's id is never used."""
        payment_id = PaymentId(uuid_utils.uuid7())
        return cls(order, source, source_id, trace_id, payment_id, fingerprint_of(order), group_id)


def fingerprint_of(word: WireModel) -> bytes:
    """SHA-256 of an order in canonical form (JSON with sorted keys), 32 bytes."""
    said = word.model_dump(mode="json")
    # A field that came later is no part of an order that leaves it out: its fingerprint stays what it was.
    said = {name: value for name, value in said.items() if name not in ADDED_LATER or value is not None}
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


def take(tx: Tx, tenant_id: TenantId, offers: Sequence[OrderRequest], *, by: str) -> list[OrderOutcome]:
    """Take orders of one tenant, together or not at all; the outcomes stand in the order of the offers.

    Raises:
        UnacceptableOrder: the tenant or venue is unknown, the currency is not the venue's, or the buyer has as many
            tickets of the event as it may.
        ContradictoryOrder: an order id or event id was seen before with another body.
        psycopg.errors.UniqueViolation: the buyer's idempotency key already paid for another order.
        psycopg.DataError, psycopg.IntegrityError: the database rejected the order.
    """
    check_venues(tx, [offer.order for offer in offers])
    _admit_resales(tx, [offer.order for offer in offers if isinstance(offer.order, OrderResold)])
    firsts = list({offer.order.order_id: offer for offer in reversed(offers)}.values())
    off = mass_refunds.cancelled_among(tx, {offer.order.event_id for offer in firsts})
    new = orders.record(tx, [as_new_order(offer) for offer in firsts], by=by)
    accepted = [offer for offer in offers if offer.payment_id in new]
    # A group's tickets were counted when it was opened.
    check_limits(tx, [(offer.order.event_id, offer.order.buyer_id) for offer in accepted if offer.group_id is None])
    note_when_events_end(tx, [offer.order for offer in accepted])
    append_traced(tx, [(_first_message(tx, tenant_id, offer, off, by), offer.trace_id) for offer in accepted])
    return [OrderOutcome.ACCEPTED if offer.payment_id in new else _repetition(tx, offer) for offer in offers]


def _first_message(tx: Tx, tenant_id: TenantId, offer: OrderRequest, off: set[UUID], by: str) -> Message:
    """An order of a cancelled event is never charged.

    It is taken and cancelled at once rather than refused: `payment.failed` then tells the order service, and so the
    buyer, by itself. As a dead letter it would wait for a person who has nothing to decide, at the end of a large sale
    some hundred times.
    """
    if offer.order.event_id not in off:
        return ChargeRequested(tenant_id=tenant_id, payment_id=offer.payment_id)
    payments.wish_to_cancel(tx, offer.payment_id, reason="event_cancelled", by=by)
    logger.info("order of a canceled event: canceled on arrival", order_id=offer.order.order_id)
    return CancelRequested(tenant_id=tenant_id, payment_id=offer.payment_id)


def check_limits(tx: Tx, buyers: Sequence[tuple[UUID, str]]) -> None:
    """Enforce purchase limits for (event id, buyer id) pairs, with the tickets just recorded counted in.

    Raises:
        UnacceptableOrder: a buyer would have more tickets of an event than allowed; the caller's transaction must roll
            back.
    """
    limits = purchase_limits.limits_of(tx, {event for event, _ in buyers}) if buyers else {}
    over = purchase_limits.excess(tx, limits, buyers) if limits else None
    if over is not None:
        said = f"buyer {over.buyer_id} would have {over.tickets} tickets of event {over.event_id}, with its groups"
        raise UnacceptableOrder(f"{said}; the limit is {over.limit}")


def check_venues(tx: Tx, orders: Iterable[OrderPlaced | GroupOpened]) -> None:
    """Check tenant, venue and currency of orders of the transaction's tenant.

    Raises:
        UnacceptableOrder: the tenant or venue is unknown, or the venue does not sell in this currency.
    """
    known = tenants.venue_currencies(tx)
    for order in orders:
        if not known:
            raise UnacceptableOrder(f"tenant {order.tenant_id} is unknown")
        if order.venue_id not in known:
            raise UnacceptableOrder(f"venue {order.venue_id} is unknown to this tenant")
        if known[order.venue_id] != order.amount.currency:
            raise UnacceptableOrder(f"the venue sells in {known[order.venue_id]}, not in {order.amount.currency}")


def _admit_resales(tx: Tx, resales: Sequence[OrderResold]) -> None:
    """Raises UnacceptableOrder for a price that the venue's rule forbids; the sellers are known afterwards."""
    if not resales:
        return
    rules = sale_terms.resale_rules(tx, [(order.venue_id, order.event_id) for order in resales])
    for order in resales:
        rule = rules.get((order.venue_id, order.event_id), ResaleRule())
        for ticket in order.tickets:
            if forbidden := outside_of(rule, ticket):
                raise UnacceptableOrder(forbidden)
    recipients.ensure_sellers(
        tx, [order.seller.model_dump(mode="json") | {"currency": order.amount.currency} for order in resales]
    )


def _repetition(tx: Tx, offer: OrderRequest) -> OrderOutcome:
    """DUPLICATE for the same order again.

    Raises:
        ContradictoryOrder: the id is known with another content; the first order stands.
    """
    if orders.fingerprint_of(tx, as_new_order(offer)) == offer.fingerprint:
        return OrderOutcome.DUPLICATE
    raise ContradictoryOrder("this order id or event id was seen before with another body; the first one stands")


def as_new_order(offer: OrderRequest) -> NewOrder:
    """The row of an order. Card data or secrets in the device's texts are redacted before they are stored."""
    order = offer.order
    return NewOrder(
        order_id=order.order_id,
        payment_id=offer.payment_id,
        event_source=offer.source,
        event_id=offer.source_id,
        fingerprint=offer.fingerprint,
        # The device's texts come from the buyer's side as they are, so they may hold what no row may (M9).
        data=order.model_dump(mode="json")
        | {"device": redact_value(order.device.model_dump(mode="json"))}
        | ({"group_id": str(offer.group_id)} if offer.group_id else {}),
    )
