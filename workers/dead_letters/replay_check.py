"""The replay check of a dead letter: what a second run of its message would mean for money, by what the database and
Stripe say now.

CHECKS has a row for each kind of message that is not periodic, ORDER_EVENT_CHECKS one for each kind of event of the
order service; the checks live in their domains, and decide by the rules in workers/rules/replay_*.py. Reads only. No
transaction is open while Stripe is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from db.dead_letters.dead_letters import SealedDeadLetter
from db.session import Database
from messages.base import Message
from messages.disputes import DisputeCloseRequested, DisputeLookupRequested, EvidenceSubmissionRequested
from messages.groups import GroupCancelDue, GroupCancelled, GroupDue, GroupOpened, GroupSharePaidWith, GroupToppedUp
from messages.mints import MintRequested, MintRetryRequested
from messages.orders import EventCancelled, EventScheduled, OrderCancelled, RefundOfOrderRequested
from messages.payments import ChargeRequested, PaymentLookupRequested
from messages.queues import ROUTES, kind_to_message
from messages.refunds import (
    CancelRequested,
    CaptureRequested,
    EventCancellationDue,
    OpsRefundDue,
    RefundLookupRequested,
    RefundRequested,
)
from messages.replays import ClassifyDue, ReplayDue
from messages.shares import AccountLookupRequested, OpsEscrowDue, ReversalRequested, ShareDue, TransferRequested
from messages.webhooks import WebhookReceived
from outbox.intake.order_events import WORDS, DecodedEvent, IncomingEvent, decode
from outbox.requests.orders import OrderRequest, UnacceptableOrder
from outbox.sealing import Opener, UnopenableError
from stripe_client.gateway import Gateway
from workers.disputes import replay_check as disputes
from workers.groups import replay_check as groups
from workers.minting import replay_check as minting
from workers.operators import replay_check as operators
from workers.payments import replay_check as payments
from workers.refunds import replay_check as refunds
from workers.rules.replay_check import COMES_AGAIN, UNREADABLE, ReplayCheck, check_order_event
from workers.runtime.by_need import with_gateway
from workers.shares import replay_check as shares
from workers.transfers import replay_check as transfers
from workers.webhooks import replay_check as webhooks


def _batch_step(_msg: ClassifyDue | ReplayDue, _db: Database) -> ReplayCheck:
    """A step of a batch appends the next one, and an operator starts a new batch for what one has left."""
    return COMES_AGAIN


def _latest_counts(_event: DecodedEvent, _request: EventScheduled, _db: Database) -> ReplayCheck:
    """The date of an event: the latest one counts, whenever it comes."""
    return check_order_event(None, known=False, same=False, amount=None)


CHECKS: dict[type[Message], Callable[..., ReplayCheck]] = {
    ChargeRequested: payments.charge,
    PaymentLookupRequested: payments.look_up,
    CaptureRequested: payments.capture,
    CancelRequested: payments.cancel,
    RefundRequested: refunds.refund,
    RefundLookupRequested: refunds.look_up,
    EventCancellationDue: refunds.mass_refund,
    EvidenceSubmissionRequested: disputes.submit_evidence,
    DisputeCloseRequested: disputes.close,
    DisputeLookupRequested: disputes.look_up,
    GroupDue: groups.look,
    GroupCancelDue: groups.cancel,
    ShareDue: shares.share,
    TransferRequested: transfers.transfer,
    ReversalRequested: transfers.reverse,
    AccountLookupRequested: transfers.look_up_account,
    OpsRefundDue: operators.refund,
    OpsEscrowDue: operators.release,
    WebhookReceived: webhooks.webhook,
    MintRequested: minting.mint,
    MintRetryRequested: minting.mint,
    ClassifyDue: _batch_step,
    ReplayDue: _batch_step,
}

ORDER_EVENT_CHECKS: dict[type[Any], Callable[[DecodedEvent, Any, Database], ReplayCheck]] = {
    OrderRequest: payments.order,
    RefundOfOrderRequested: refunds.refund_of_order,
    OrderCancelled: refunds.refund_of_order,
    EventCancelled: refunds.event_cancelled,
    EventScheduled: _latest_counts,
    GroupOpened: groups.opened,
    GroupCancelled: groups.cancelled,
    GroupSharePaidWith: groups.contribution,
    GroupToppedUp: groups.contribution,
}


@dataclass(frozen=True, slots=True)
class OpenedDeadLetter:
    """A dead letter whose seal was opened. `payload` is None when the bytes are no JSON object."""

    dead_letter: SealedDeadLetter
    original: bytes
    payload: dict[str, Any] | None

    @property
    def is_order_event(self) -> bool:
        """It came from the order service, and a replay gives it to intake again."""
        return self.dead_letter.source == "orders" or self.dead_letter.kind in WORDS


def open_dead_letter(dead_letter: SealedDeadLetter, opener: Opener) -> OpenedDeadLetter | ReplayCheck:
    """The original of a dead letter, or why it cannot be read."""
    if dead_letter.sealed is None:
        return ReplayCheck("must_not", "its original was not kept")
    try:
        original = opener.open(dead_letter.sealed)
    except UnopenableError as error:
        return ReplayCheck("must_not", str(error))
    return OpenedDeadLetter(dead_letter, original, _json_object(original))


def check_replay(opened: OpenedDeadLetter, db: Database, stripe: Gateway) -> ReplayCheck:
    """What replaying this dead letter would mean, now.

    Raises:
        Verdict: Stripe did not answer.
        psycopg.OperationalError: the database is away.
    """
    if opened.is_order_event:
        return _check_order_event(opened.original, db)
    kind = kind_to_message().get(opened.dead_letter.kind or "")
    # Without an id of ours nothing could mark it as replayed; an edit gives its successor a fresh one.
    if kind is None or opened.payload is None or opened.dead_letter.message_uuid is None:
        return UNREADABLE
    if ROUTES[kind].is_periodic:
        return COMES_AGAIN
    try:
        message = kind.model_validate(opened.payload)
    except ValidationError:
        return UNREADABLE
    return with_gateway(CHECKS[kind])(message, db, stripe)


def _check_order_event(original: bytes, db: Database) -> ReplayCheck:
    """Read by today's rules: a tenant may have been registered since, a version added, or the order may have come."""
    try:
        event = decode(IncomingEvent(original))
        return ORDER_EVENT_CHECKS[type(event.content)](event, event.content, db)
    except UnacceptableOrder as reason:
        return check_order_event(str(reason), known=False, same=False, amount=None)


def _json_object(original: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(original)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
