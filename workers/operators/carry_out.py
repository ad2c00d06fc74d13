"""ops_refund, ops_escrow: take an operator's request -> carry it out -> write the answer beside it.

One transaction, no outside call: the refund or the transfer that comes of it is sent by its own worker. A second
delivery finds the request granted or refused, and the request's id is the refund's key, so that it can become one
refund only. The two kinds of message are one thing; they keep their names because the previous release sends them.

A person may release before the event is over, or while nobody knows when it ends, and may release what a person holds;
not what is about to go back to the buyer. An open dispute or refund keeps the released shares waiting all the same
(workers/shares/share.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from loguru import logger

from db.operators import requests
from db.operators.requests import OperatorRequest
from db.operators.states import RequestState
from db.session import Database, Tx
from db.shares import escrow
from db.shares.escrow import EscrowedPayment
from messages.ids import RefundId, TenantId, TicketId
from messages.refunds import OpsRefundDue, RefundReason
from messages.runtime.crash_points import crash_point
from messages.shares import OpsEscrowDue
from messages.verdicts import GiveUp, TryAgain
from outbox.requests.refunds import RefundAnswer, request_refund
from outbox.requests.refusals import RefusedError
from workers.ledger.booking import book
from workers.runtime.actor import actor
from workers.shares.release import release_from_escrow

BY = "operator_request"
GOING_BACK = {
    "cancellation": "the payment is to be cancelled, so its money goes back to the buyer",
    "group": "its group is not settled, so its money may still go back to those who paid",
    "cancelled_event": "the event is cancelled, so its money goes back to the buyer",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: granted, with a remark where there is one, and the refund that it made."""

    remark: str | None = None
    refund_id: RefundId | None = None


@actor(OpsRefundDue)
def ops_refund(msg: OpsRefundDue, db: Database) -> None:
    carry_out(db, msg.tenant_id, msg.request_id)


@actor(OpsEscrowDue)
def ops_escrow(msg: OpsEscrowDue, db: Database) -> None:
    carry_out(db, msg.tenant_id, msg.wish_id)


def carry_out(db: Database, tenant_id: TenantId, request_id: UUID) -> None:
    """Whatever is requested, its answer is written in the same transaction.

    Raises:
        GiveUp: the tenant has no such request.
        TryAgain: somebody else is at what it is about.
    """
    with db.transaction(tenant_id) as tx:
        request = requests.get(tx, request_id, lock=True)
        if request is None:
            raise GiveUp(f"tenant {tenant_id} has no operator request {request_id}")
        if request.state != RequestState.ASKED:
            return
        try:
            with tx.transaction():  # a savepoint: the answer is written whatever becomes of the request
                outcome = _BY_KIND[request.kind](tx, request)
        except RefusedError as error:
            requests.settle(tx, request_id, state=RequestState.REFUSED, by=BY, reason=_sentence(error))
            logger.warning("{} requested by {} was refused: {}", request.kind, request.created_by, error)
        else:
            requests.settle(
                tx, request_id, state=RequestState.GRANTED, by=BY, reason=outcome.remark, refund_id=outcome.refund_id
            )
        crash_point("operator_request.before_commit")


def _sentence(error: RefusedError) -> str:
    return str(error) if error.code == "refused" else f"{error.code}: {error}"


def _refund(tx: Tx, request: OperatorRequest) -> Outcome:
    answer = request_refund(
        tx,
        payment_id=request.payment_id,
        amount=request.amount,
        ticket_ids=[TicketId(ticket) for ticket in request.ticket_ids],
        reason=cast("RefundReason", request.reason),
        note=request.note,
        source="ops",
        request_key=f"ops:{request.request_id}",
        by=request.created_by,
    )
    return Outcome(_remark(answer), answer.refund.refund_id if answer.refund else None)


def _remark(answer: RefundAnswer) -> str | None:
    if answer.refund is not None:
        return None
    return "nothing was taken yet: the payment is cancelled instead" if answer.canceling else "nothing is left of it"


def _release(tx: Tx, request: OperatorRequest) -> Outcome:
    current = _escrow_of(tx, request)
    if current.kept_by in GOING_BACK:
        raise RefusedError(GOING_BACK[current.kept_by])
    assert request.amount_minor is not None, "the database has a CHECK: a release names what was in escrow"
    if current.held_minor > request.amount_minor:
        raise RefusedError("more is in escrow now than was decided about; ask again")
    released = release_from_escrow(tx, request.tenant_id, current, by=request.created_by, because=request.note)
    book(tx, request.payment_id, released)
    return Outcome()


def _hold(tx: Tx, request: OperatorRequest) -> Outcome:
    _escrow_of(tx, request)
    escrow.hold(tx, request.payment_id, by=request.created_by, because=request.note)
    return Outcome()


def _escrow_of(tx: Tx, request: OperatorRequest) -> EscrowedPayment:
    """The locked escrow of the payment.

    Raises:
        RefusedError: its shares have left escrow.
        TryAgain: escrow itself is at this payment just now.
    """
    current = escrow.lock(tx, request.payment_id)
    if current is None:
        known = escrow.of_payment(tx, request.payment_id)
        if known is not None and known.released_at is None:
            raise TryAgain("somebody else is at the escrow of this payment")
        raise RefusedError("its shares have left escrow already")
    return current


_BY_KIND: Mapping[str, Callable[[Tx, OperatorRequest], Outcome]] = {
    "refund": _refund,
    "release": _release,
    "hold": _hold,
}
