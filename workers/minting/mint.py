"""mint: a paid order -> one queued token for each of its tickets.

Nothing is asked of the chain here: the rows are the request, and the minter takes them from there. A second delivery
finds them and adds nothing. What was refunded before this ran is canceled at once.
"""

from loguru import logger

from db.minting import mints, series
from db.minting.mints import NewMint
from db.payments import orders, payments
from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database, Tx
from messages.mints import MintRequested, MintRetryRequested
from messages.runtime import trace
from messages.runtime.crash_points import crash_point
from messages.token_ids import series_of, token_id_of
from messages.verdicts import GiveUp
from workers.runtime.actor import actor


@actor(MintRequested)
def mint(msg: MintRequested, db: Database) -> None:
    """Queue the tokens of a paid order; a second delivery queues none (M11).

    Raises:
        GiveUp: there is no such payment, or it is not paid.
    """
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.lock(tx, msg.payment_id)  # a refund that settles now waits, and then finds the rows
        if payment is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no payment {msg.payment_id}")
        if payment.state is not PaymentState.SUCCEEDED:
            raise GiveUp(f"payment {msg.payment_id} is {payment.state.value}: only paid tickets become tokens")
        if not payment.mints:
            logger.info("venue does not mint; no mints queued")
            return
        new = _queue(tx, payment)
        canceled, to_void = mints.take_back(tx, payment.payment_id, by="mint")
        crash_point("mint.before_commit")
    logger.info("queued {} mints, {} of them for refunded tickets", new, canceled + to_void)


def _queue(tx: Tx, payment: Payment) -> int:
    tickets = orders.tickets_to_mint(tx, payment.order_id)
    assert tickets, "a payment has its order, by a foreign key, and an order has tickets"
    event_id = tickets[0].event_id
    name = series_of(payment.tenant_id, event_id)
    series.ensure(tx, event_id=event_id, venue_id=payment.venue_id, series=name)
    trace_id = trace.current()
    return mints.request(
        tx,
        payment_id=payment.payment_id,
        order_id=payment.order_id,
        event_id=event_id,
        venue_id=payment.venue_id,
        new=[NewMint(each.ticket_id, token_id_of(name, each.ticket_id), each.wallet) for each in tickets],
        by="mint",
        trace_id=trace_id,
        span_id=trace.span_of(trace_id),
    )


@actor(MintRetryRequested)
def mint_retry(msg: MintRetryRequested, db: Database) -> None:
    """failed -> queued; whatever moved meanwhile is left as it is."""
    with db.transaction(msg.tenant_id) as tx:
        if mints.get(tx, msg.ticket_id) is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no mint of ticket {msg.ticket_id}")
        if mints.retry(tx, msg.ticket_id, by="mint_retry"):
            logger.info("mint queued again", ticket_id=msg.ticket_id)
