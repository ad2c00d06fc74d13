"""The steps of a mass refund: the next batch of orders, and what a worker writes once it has dealt with them.

Every function runs in the worker's tenant transaction, which holds the mass refund's row locked and has compared its
step; so none of these UPDATEs asks for the state again. No refund is made here, only the progress is stored.
"""

from dataclasses import dataclass

from psycopg.rows import class_row

from db.refunds.mass_refunds import MassRefund
from db.session import Tx
from messages.ids import OrderId, PaymentId


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """One order of a batch, with its payment, whatever that payment's state is."""

    order_id: OrderId
    payment_id: PaymentId


# What this cancellation has not dealt with: money that could still be taken, or that is left and was not asked for.
_LEFT_OUT = """
    NOT EXISTS (SELECT FROM event_cancellation_refusals x
                WHERE (x.tenant_id, x.payment_id) = (p.tenant_id, p.payment_id) AND x.cancellation_id = %(id)s)
    AND CASE WHEN p.state = 'succeeded'
        THEN EXISTS (SELECT FROM charges c
                     WHERE (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
                       AND c.refunded_minor < c.amount_minor)
             AND NOT EXISTS (SELECT FROM refunds r
                             WHERE r.tenant_id = p.tenant_id
                               AND r.request_key = 'event_cancellation:' || %(id)s::text || ':' || p.payment_id::text)
        ELSE p.state <> 'canceled' AND p.cancel_requested_at IS NULL END
"""


def next_slice(tx: Tx, run: MassRefund, *, limit: int) -> list[BatchOrder]:
    """At most `limit` orders after the cursor, by order id; empty when this pass is at its end.

    The first pass takes every order that was received before the event was cancelled; later ones only payments that are
    still left out (`_LEFT_OUT`), whenever their orders came.
    """
    with tx.cursor(row_factory=class_row(BatchOrder)) as cursor:
        return cursor.execute(
            """
            SELECT o.order_id, p.payment_id
            FROM orders o
            JOIN payments p ON (p.tenant_id, p.order_id) = (o.tenant_id, o.order_id)
            WHERE o.ticketed_event_id = %(event)s
              AND o.order_id > coalesce(%(cursor)s::uuid, '00000000-0000-0000-0000-000000000000')
              AND (CASE WHEN %(first_pass)s THEN o.received_at < %(off_since)s ELSE """
            + _LEFT_OUT
            + "END) ORDER BY o.order_id LIMIT %(limit)s",
            {
                "id": run.cancellation_id,
                "event": run.event_id,
                "cursor": run.cursor_order_id,
                "first_pass": run.pass_ == 1,
                "off_since": run.off_since,
                "limit": limit,
            },
        ).fetchall()


def left_out(tx: Tx, run: MassRefund) -> int:
    """How many of the event's payments still have money to give back, or could still take some, unasked; refused ones
    are not.

    Above zero at the end of a pass, another pass is needed.
    """
    row = tx.execute(
        """
        SELECT count(*)
        FROM orders o JOIN payments p ON (p.tenant_id, p.order_id) = (o.tenant_id, o.order_id)
        WHERE o.ticketed_event_id = %(event)s AND """
        + _LEFT_OUT,
        {"id": run.cancellation_id, "event": run.event_id},
    ).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return int(row[0])


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """What became of the payments of one batch; each payment is counted in exactly one of the four.

    refunds_asked         a refund of all that was left was requested
    cancellations_asked   nothing was captured yet: the cancellation of the payment was requested
    nothing_left          given back in full already, or canceled
    refused               it could not be done, for a reason that `refuse` has stored
    """

    refunds_asked: int = 0
    cancellations_asked: int = 0
    nothing_left: int = 0
    refused: int = 0


def advance(tx: Tx, run: MassRefund, *, cursor: OrderId, counts: BatchCounts, by: str) -> None:
    """A batch is done: move the cursor, add its counts, and raise the step, so that this batch's message is worth
    nothing now.

    A later pass finds orders that the total of the first did not count, so it adds them to `total`.
    """
    tx.execute(
        """
        UPDATE event_cancellations
        SET state = 'running', state_by = %(by)s, state_reason = NULL, step = step + 1, cursor_order_id = %(cursor)s,
            moved_at = clock_timestamp(),
            refunds_asked = refunds_asked + %(refunds)s, cancellations_asked = cancellations_asked + %(cancellations)s,
            nothing_left = nothing_left + %(nothing)s, refused = refused + %(refused)s,
            total = total + CASE WHEN pass = 1 THEN 0 ELSE %(all)s END
        WHERE cancellation_id = %(id)s
        """,
        {
            "id": run.cancellation_id,
            "cursor": cursor,
            "by": by,
            "refunds": counts.refunds_asked,
            "cancellations": counts.cancellations_asked,
            "nothing": counts.nothing_left,
            "refused": counts.refused,
            "all": counts.refunds_asked + counts.cancellations_asked + counts.nothing_left + counts.refused,
        },
    )


def begin_pass(tx: Tx, run: MassRefund, *, by: str) -> None:
    """Begin another pass from the first order, for the payments that were left out; raises the step."""
    tx.execute(
        """
        UPDATE event_cancellations
        SET state = 'running', state_by = %(by)s, state_reason = NULL, step = step + 1, pass = pass + 1,
            cursor_order_id = NULL, moved_at = clock_timestamp()
        WHERE cancellation_id = %(id)s
        """,
        {"id": run.cancellation_id, "by": by},
    )


def end(tx: Tx, run: MassRefund, *, by: str) -> None:
    """Nothing is left to do: -> done, which is final.

    The step is raised, so that a message still under way does
    nothing.
    """
    tx.execute(
        """
        UPDATE event_cancellations
        SET state = 'done', state_by = %(by)s, state_reason = NULL, step = step + 1, moved_at = clock_timestamp()
        WHERE cancellation_id = %(id)s
        """,
        {"id": run.cancellation_id, "by": by},
    )


def wait_for_balance(tx: Tx, run: MassRefund, *, reason: str, by: str) -> None:
    """Stripe's balance is too small for the next batch; the step stays the same, so that the waiting message may take
    it later.
    """
    tx.execute(
        """
        UPDATE event_cancellations
        SET state = 'waiting_for_balance', state_by = %(by)s, state_reason = %(reason)s, moved_at = clock_timestamp()
        WHERE cancellation_id = %(id)s
        """,
        {"id": run.cancellation_id, "reason": reason, "by": by},
    )


def refuse(tx: Tx, run: MassRefund, payment_id: PaymentId, *, code: str, reason: str) -> None:
    """Note why a payment could not be given back; the first note stays.

    A refused payment is left out of later
    passes.
    """
    tx.execute(
        """
        INSERT INTO event_cancellation_refusals (tenant_id, cancellation_id, payment_id, code, reason)
        VALUES (current_tenant(), %(id)s, %(payment_id)s, %(code)s, %(reason)s) ON CONFLICT DO NOTHING
        """,
        {"id": run.cancellation_id, "payment_id": payment_id, "code": code, "reason": reason},
    )
