"""ops_refund: take an operator's wish -> ask for the refund as every other door does -> write the answer beside it.

One transaction, no outside call: the refund that comes of it is sent by its own worker. A second delivery finds the
wish granted or refused, and the wish's id is the request's key, so that it can become one refund only.
"""

from typing import cast

from loguru import logger

from db.operators import refund_requests
from db.operators.refund_requests import RefundOrder
from db.session import Database, Tx
from messages.ids import TicketId
from messages.refunds import OpsRefundDue, RefundReason
from messages.verdicts import GiveUp
from outbox.requests.refunds import RefundAnswer, request_refund
from outbox.requests.refusals import RefusedError
from stripe_client.gateway import Gateway
from workers.runtime.actor import actor

BY = "ops_refund"


@actor(OpsRefundDue)
def ops_refund(msg: OpsRefundDue, db: Database, _stripe: Gateway) -> None:
    with db.transaction(msg.tenant_id) as tx:
        wish = refund_requests.get(tx, msg.request_id, lock=True)
        if wish is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no refund request {msg.request_id}")
        if wish.state != "asked":
            return
        try:
            with tx.transaction():  # a savepoint: the answer is written whatever becomes of the request
                answer = _ask(tx, wish)
        except RefusedError as error:
            refund_requests.settle(tx, wish.request_id, state="refused", by=BY, reason=f"{error.code}: {error}")
            logger.warning("refund asked for by {} is refused: {}", wish.created_by, error)
        else:
            refund_id = answer.refund.refund_id if answer.refund else None
            refund_requests.settle(
                tx, wish.request_id, state="granted", by=BY, reason=_words(answer), refund_id=refund_id
            )


def _ask(tx: Tx, wish: RefundOrder) -> RefundAnswer:
    return request_refund(
        tx,
        payment_id=wish.payment_id,
        amount=wish.amount,
        ticket_ids=[TicketId(ticket) for ticket in wish.ticket_ids],
        reason=cast("RefundReason", wish.reason),
        note=wish.note,
        source="ops",
        request_key=f"ops:{wish.request_id}",
        by=wish.created_by,
    )


def _words(answer: RefundAnswer) -> str | None:
    if answer.refund is not None:
        return None
    return "nothing was taken yet: the payment is cancelled instead" if answer.canceling else "nothing is left of it"
