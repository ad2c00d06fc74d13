"""Looks at the book and at Stripe for one dead letter, and has the rules judge what replaying it would mean.

Reads only. No transaction is open while Stripe is asked.
"""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError

from db import stripe_calls
from db.dead_letters.dead_letters import SealedDeadLetter
from db.operators import requests
from db.payments import orders, payments
from db.refunds import mass_refunds, refunds
from db.session import Database
from db.webhooks import inbox
from messages.ids import PaymentId, TenantId
from messages.money import Money
from messages.orders import EventCancelled, EventScheduled, RefundOfOrderRequested
from messages.queues import kind_to_message
from messages.refunds import EventCancellationDue, OpsRefundDue
from outbox.intake.order_events import WORDS, DecodedEvent, GroupRequest, IncomingEvent, ServiceRequest, decode
from outbox.requests.orders import OrderRequest, UnacceptableOrder, as_new_order, check_venues
from outbox.sealing import Opener, UnopenableError
from stripe_client import payment_intents
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Absent
from workers.dead_letters import judge_groups, judge_money, judge_shares
from workers.rules import replay_charges
from workers.rules.replay_charges import ChargeFacts, ReplayCheck

# Work that comes again by itself: the next one does what this one did not.
PERIODIC = frozenset(
    {
        "sweep",
        "classify",
        "replay",
        "event_sweep",
        "seal_ledger",
        "reconcile",
        "payouts",
        "retention",
        "royalty_reconcile",
        "escrow",
        "statements",
        "connected_payouts",
    }
)


@dataclass(frozen=True, slots=True)
class OpenedDeadLetter:
    """A letter whose seal was opened. `payload` is None when the bytes are no JSON object."""

    letter: SealedDeadLetter
    original: bytes
    payload: dict[str, Any] | None


def open_letter(letter: SealedDeadLetter, opener: Opener) -> OpenedDeadLetter | ReplayCheck:
    """The original of a letter, or why it cannot be had."""
    if letter.sealed is None:
        return ReplayCheck("must_not", "its original was not kept")
    try:
        original = opener.open(letter.sealed)
    except UnopenableError as error:
        return ReplayCheck("must_not", str(error))
    return OpenedDeadLetter(letter, original, _json_object(original))


def judge(opened: OpenedDeadLetter, db: Database, stripe: Gateway) -> ReplayCheck:
    """What replaying this letter would mean, now.

    Raises:
        Verdict: Stripe did not answer.
        psycopg.OperationalError: the database is away.
    """
    kind = opened.letter.kind
    if opened.letter.source == "orders" or kind in WORDS:
        return _judge_order(opened, db)
    # Without an id of ours its end could not be told to the letter; an edit gives the successor a fresh one.
    if opened.payload is None or opened.letter.message_uuid is None:
        return replay_charges.UNREADABLE
    if kind in PERIODIC:
        return replay_charges.PASSED
    if kind in {"cancel_event", "ops_refund", *judge_groups.KINDS}:
        return _judge_ops_work(kind, opened.payload, db)
    if kind == "webhook":
        return replay_charges.judge_webhook(_inbox_state(db, str(opened.payload.get("event_id"))))
    return _judge_of_payment(kind, opened.payload, db, stripe)


def _judge_ops_work(kind: str, payload: dict[str, Any], db: Database) -> ReplayCheck:
    """A step of a mass cancellation, a refund that an operator asked for, a group: each knows whether it was taken."""
    if kind in judge_groups.KINDS:
        return judge_groups.judge_work(kind, payload, db)
    try:
        message = kind_to_message()[kind].model_validate(payload)
    except ValidationError:
        return replay_charges.UNREADABLE
    with db.system_transaction() as tx:
        if isinstance(message, EventCancellationDue):
            run = mass_refunds.get(tx, message.cancellation_id)
            return replay_charges.judge_step(known=run is not None, open_=run is not None and run.takes(message.step))
        assert isinstance(message, OpsRefundDue), "the two kinds that come here"
        request = requests.get(tx, message.request_id)
    return replay_charges.judge_step(known=request is not None, open_=request is not None and request.state == "asked")


def _judge_of_payment(kind: str | None, payload: dict[str, Any], db: Database, stripe: Gateway) -> ReplayCheck:
    if kind in judge_shares.KINDS:
        return judge_shares.judge(kind, payload, db, stripe)
    owner = _owner(payload)
    if owner is None:
        return replay_charges.UNREADABLE
    tenant_id, payment_id = owner
    if kind in judge_money.BY_KIND:
        return judge_money.BY_KIND[kind](judge_money.DeadLetterContext(tenant_id, payment_id, payload), db, stripe)
    if kind == "charge":
        return _judge_charge(db, stripe, tenant_id, payment_id)
    if kind not in {"mint", "mint_retry", "lookup"}:
        return replay_charges.UNREADABLE
    with db.transaction(tenant_id) as tx:
        known = payments.get(tx, payment_id) is not None
    return replay_charges.judge_lookup(known) if kind == "lookup" else replay_charges.judge_mint(known)


def _judge_charge(db: Database, stripe: Gateway, tenant_id: TenantId, payment_id: PaymentId) -> ReplayCheck:
    with db.transaction(tenant_id) as tx:
        payment = payments.get(tx, payment_id)
        call = stripe_calls.live(tx, operation=payment_intents.CREATE, subject_id=payment_id) if payment else None
    facts = ChargeFacts(
        payment_state=payment.state.value if payment else None,
        amount=payment.amount if payment else None,
        call_outcome=call.outcome if call else None,
        key_must_not_be_used=call.must_look_up if call else False,
        seconds_since_last_send=call.seconds_since_last_send if call else 0.0,
    )
    if payment is None or call is None or not replay_charges.stripe_must_be_asked(facts):
        return replay_charges.judge_charge(facts)
    found = payment_intents.find(stripe, payment_id, customer_id=payment.customer_id, since_epoch=call.first_sent_epoch)
    at_stripe = "absent" if isinstance(found, Absent) else type(found).__name__
    return replay_charges.judge_charge(replace(facts, at_stripe=at_stripe))


def _judge_order(opened: OpenedDeadLetter, db: Database) -> ReplayCheck:
    """Read by today's rules: a tenant may have been registered since, or a version taught, or the order has come."""
    try:
        event = decode(IncomingEvent(opened.original))
        if not isinstance(event.content, OrderRequest):
            return _judge_wish(event, event.content, db)
        offer = event.content
        with db.transaction(event.tenant_id) as tx:
            check_venues(tx, [offer.order])
            first = orders.fingerprint_of(tx, as_new_order(offer))
    except UnacceptableOrder as reason:
        return replay_charges.judge_order(str(reason), known=False, same=False, amount=None)
    amount: Money = offer.order.amount
    return replay_charges.judge_order(None, known=first is not None, same=first == offer.fingerprint, amount=amount)


def _judge_wish(event: DecodedEvent, wish: ServiceRequest, db: Database) -> ReplayCheck:
    """A refund or a cancellation that intake could not grant: its refund may have been made, or its order come."""
    if isinstance(wish, GroupRequest):
        return judge_groups.judge_wish(event, wish, db)
    if isinstance(wish, EventCancelled):
        with db.transaction(event.tenant_id) as tx:
            off = mass_refunds.of_event(tx, event.tenant_id, wish.event_id)
        return replay_charges.judge_order(None, known=off is not None, same=True, amount=None)
    if isinstance(wish, EventScheduled):  # the latest word counts, whenever it comes
        return replay_charges.judge_order(None, known=False, same=False, amount=None)
    with db.transaction(event.tenant_id) as tx:
        payment_id = orders.payment_of(tx, wish.order_id)
        made = refunds.by_request_key(tx, event.key)
        money = refunds.captured(tx, payment_id) if payment_id else None
    if payment_id is None:
        return replay_charges.judge_order(
            f"order {wish.order_id} is unknown here", known=False, same=False, amount=None
        )
    amount = wish.amount if isinstance(wish, RefundOfOrderRequested) else None
    left = money.left if money else None
    return replay_charges.judge_order(None, known=made is not None, same=True, amount=amount or left)


def _inbox_state(db: Database, event_id: str) -> str | None:
    with db.system_transaction() as tx:
        event = inbox.read(tx, event_id)
    return event.state if event else None


def _owner(payload: dict[str, Any]) -> tuple[TenantId, PaymentId] | None:
    try:
        return TenantId(UUID(str(payload["tenant_id"]))), PaymentId(UUID(str(payload["payment_id"])))
    except (KeyError, ValueError):
        return None


def _json_object(original: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(original)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
