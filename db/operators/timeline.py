"""Everything the book knows about one payment, in the order in which it happened.

One SELECT a part of the book, all of the same shape: when, which part, what, by whom, and the details as JSON. Each is
bounded by the payment, and needs an ops transaction: the parts belong to several roles.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.operators.timeline_shares import CALLS_OF_SHARES, PARTS_OF_SHARES
from db.session import Tx
from db.text import uuid_or_none


@dataclass(frozen=True, slots=True)
class PaymentHeading:
    """The payment as it stands, with the wishes kept on it. `platform_fee_minor` is None until charging begins."""

    tenant_id: UUID
    tenant: str
    payment_id: UUID
    order_id: UUID
    venue: str
    buyer_id: str
    amount_minor: int
    currency: str
    platform_fee_minor: int | None
    capture: str
    payment_intent_id: str | None
    charge_id: str | None
    stripe_fee_minor: int | None
    balance_currency: str | None
    state: str
    state_reason: str | None
    state_since: datetime
    created_at: datetime
    refunded_minor: int | None
    cancel_reason: str | None
    cancel_requested_by: str | None
    capture_requested_minor: int | None
    capture_before: datetime | None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of the timeline. `part` is a key of PARTS; what `detail` holds is said by the part's SELECT."""

    at: datetime
    part: str
    what: str
    by: str | None
    detail: dict[str, Any]


def find(tx: Tx, name: str) -> list[PaymentHeading]:
    """Payments of that name: a payment id, an order id, a payment intent id or a charge id.

    Two tenants may have given the same order id; then both are returned.
    """
    with tx.cursor(row_factory=class_row(PaymentHeading)) as cursor:
        return cursor.execute(_FIND, {"name": name, "id": uuid_or_none(name)}).fetchall()


def happenings(tx: Tx, payment: PaymentHeading) -> list[TimelineEntry]:
    """The whole timeline, the oldest first."""
    with tx.cursor(row_factory=class_row(TimelineEntry)) as cursor:
        return cursor.execute(_ALL, _names(payment)).fetchall()


def explain(tx: Tx, payment: PaymentHeading) -> list[str]:
    """The plan of `happenings`, line by line: it must stay bounded by the payment, however large the book grows."""
    return [row[0] for row in tx.execute("EXPLAIN " + _ALL, _names(payment)).fetchall()]


def _names(payment: PaymentHeading) -> dict[str, object]:
    return {
        "tenant_id": payment.tenant_id,
        "payment_id": payment.payment_id,
        "order_id": payment.order_id,
        "intent_id": payment.payment_intent_id,
        "charge_id": payment.charge_id,
    }


# The two ids are looked up apart, each by its own index; an OR over two tables would read both.
_FIND: LiteralString = """
    WITH named AS (
        SELECT tenant_id, payment_id FROM payments WHERE payment_id = %(id)s
        UNION SELECT tenant_id, payment_id FROM payments WHERE order_id = %(id)s
        UNION SELECT tenant_id, payment_id FROM payments WHERE payment_intent_id = %(name)s
        UNION SELECT tenant_id, payment_id FROM charges WHERE charge_id = %(name)s
    )
    SELECT
        p.tenant_id, t.name AS tenant, p.payment_id, p.order_id, v.name AS venue, p.buyer_id, p.amount_minor,
        p.currency, p.platform_fee_minor, p.capture, p.payment_intent_id, c.charge_id, c.stripe_fee_minor,
        c.balance_currency, p.state, p.state_reason, p.state_since, p.created_at,
        c.refunded_minor, p.cancel_reason, p.cancel_requested_by, p.capture_requested_minor, p.capture_before
    FROM named
    JOIN payments p USING (tenant_id, payment_id)
    JOIN tenants t USING (tenant_id)
    JOIN venues v USING (tenant_id, venue_id)
    LEFT JOIN charges c USING (tenant_id, payment_id)
    ORDER BY p.created_at
"""

# Of one moment, the part that stands higher here came first.
PARTS: dict[str, LiteralString] = {
    "intake": """
        SELECT received_at AS at, 'received' AS what, event_source AS by, jsonb_build_object(
            'order_id', order_id, 'event_id', event_id,
            'tickets', jsonb_array_length(coalesce(order_data -> 'tickets', '[]'))) AS detail
        FROM orders WHERE tenant_id = %(tenant_id)s AND order_id = %(order_id)s
    """,
    "state": """
        SELECT at, to_state, by, jsonb_build_object('seq', seq, 'from_state', from_state, 'reason', reason)
        FROM payment_history WHERE tenant_id = %(tenant_id)s AND payment_id = %(payment_id)s
    """,
    "wish": """
        SELECT cancel_requested_at, 'cancel', cancel_requested_by, jsonb_build_object('reason', cancel_reason)
        FROM payments
        WHERE tenant_id = %(tenant_id)s AND payment_id = %(payment_id)s AND cancel_requested_at IS NOT NULL
    """,
    "refund": """
        SELECT h.at, h.to_state, h.by, jsonb_build_object(
            'seq', h.seq, 'from_state', h.from_state, 'reason', h.reason, 'refund_id', r.refund_id,
            'amount_minor', r.amount_minor, 'currency', r.currency, 'why', r.reason, 'note', r.note,
            'source', r.source, 'stripe_refund_id', r.stripe_refund_id)
        FROM refunds r
        JOIN refund_history h ON (h.tenant_id, h.refund_id) = (r.tenant_id, r.refund_id)
        WHERE r.tenant_id = %(tenant_id)s AND r.payment_id = %(payment_id)s
    """,
    "token": """
        SELECT h.at, h.to_state, h.by, jsonb_build_object(
            'seq', h.seq, 'from_state', h.from_state, 'reason', h.reason, 'ticket_id', m.ticket_id,
            'token_id', m.token_id, 'to_address', m.to_address)
        FROM mints m JOIN mint_history h USING (tenant_id, ticket_id)
        WHERE m.tenant_id = %(tenant_id)s AND m.payment_id = %(payment_id)s
    """,
    **PARTS_OF_SHARES,
    "call": f"""
        SELECT moment.at, moment.what, NULL, jsonb_build_object(
            'operation', operation, 'generation', generation, 'idempotency_key', idempotency_key, 'sends', sends,
            'outcome', outcome, 'needs_lookup', needs_lookup, 'answer', answer, 'object_id', stripe_object_id,
            'request_id', stripe_request_id)
        FROM calls
        CROSS JOIN LATERAL (VALUES
            (first_sent_at, 'sent', true), (last_sent_at, 'sent_again', sends > 1),
            (settled_at, outcome, settled_at IS NOT NULL)) AS moment (at, what, happened)
        WHERE tenant_id = %(tenant_id)s AND happened AND subject_id = ANY (ARRAY(
            SELECT %(payment_id)s::uuid
            UNION ALL
            SELECT refund_id FROM refunds WHERE tenant_id = %(tenant_id)s AND payment_id = %(payment_id)s
            UNION ALL
            SELECT wish_id FROM disputes WHERE payment_id = %(payment_id)s AND wish_id IS NOT NULL
            UNION ALL
            {CALLS_OF_SHARES}))
    """,
    "attempt": """
        SELECT at, outcome, NULL, jsonb_build_object(
            'attempt', attempt, 'payment_method_id', payment_method_id, 'decline_code', decline_code)
        FROM payment_attempts WHERE tenant_id = %(tenant_id)s AND payment_id = %(payment_id)s
    """,
    "charge": """
        SELECT recorded_at, 'recorded', NULL, jsonb_build_object(
            'charge_id', charge_id, 'amount_minor', amount_minor, 'currency', currency,
            'balance_transaction_id', balance_transaction_id, 'stripe_fee_minor', stripe_fee_minor,
            'balance_currency', balance_currency)
        FROM charges WHERE tenant_id = %(tenant_id)s AND payment_id = %(payment_id)s
    """,
    "ledger": """
        SELECT j.posted_at, j.kind, NULL, jsonb_build_object('source_id', j.source_id, 'entries', (
            SELECT jsonb_agg(jsonb_build_object(
                'account', a.code, 'amount_minor', e.amount_minor, 'currency', e.currency) ORDER BY e.line)
            FROM ledger_entries e JOIN ledger_accounts a USING (tenant_id, account_id)
            WHERE e.tenant_id = j.tenant_id AND e.journal_id = j.journal_id))
        FROM ledger_journals j WHERE j.tenant_id = %(tenant_id)s AND j.payment_id = %(payment_id)s
    """,
    "group": """
        SELECT h.at, replace(h.to_state, 'cancelled', 'canceled'), h.by, jsonb_build_object(
            'seq', h.seq, 'from_state', replace(h.from_state, 'cancelled', 'canceled'), 'reason', h.reason,
            'group_id', h.group_id, 'member', NULL)
        FROM payments p JOIN group_history h ON (h.tenant_id, h.group_id) = (p.tenant_id, p.group_id)
        WHERE p.tenant_id = %(tenant_id)s AND p.payment_id = %(payment_id)s
        UNION ALL
        SELECT h.at, h.to_state, h.by, jsonb_build_object(
            'seq', h.seq, 'from_state', h.from_state, 'reason', h.reason, 'group_id', h.group_id, 'member', m.buyer_id)
        FROM payments p
        JOIN group_member_history h ON (h.tenant_id, h.group_id, h.payment_id) = (p.tenant_id, p.group_id, p.payment_id)
        JOIN group_members m ON (m.tenant_id, m.group_id, m.member_id) = (h.tenant_id, h.group_id, h.member_id)
        WHERE p.tenant_id = %(tenant_id)s AND p.payment_id = %(payment_id)s
    """,
    # What the order service heard of the payment and its refunds. The outbox forgets what it has published, so this is
    # read from the moves: each is one transaction with its event.
    "event": """
        SELECT told.at, told.event_type, 'order service', jsonb_build_object(
            'waits', EXISTS (SELECT FROM outbox o
                             WHERE o.ordering_key = %(payment_id)s AND o.kind = told.event_type
                               AND o.created_at BETWEEN told.at - interval '1 s' AND told.at + interval '1 s'))
        FROM (
            SELECT h.at, CASE
                WHEN h.to_state = 'succeeded' AND p.cancel_requested_at < h.at THEN 'payment.succeeded_late'
                WHEN h.to_state = 'canceled' THEN 'payment.failed'
                ELSE 'payment.' || h.to_state END
            FROM payment_history h JOIN payments p USING (tenant_id, payment_id)
            WHERE h.tenant_id = %(tenant_id)s AND h.payment_id = %(payment_id)s
              AND h.to_state IN ('succeeded', 'failed', 'canceled', 'requires_action', 'authorized')
            UNION ALL
            SELECT h.at, CASE WHEN h.to_state = 'succeeded' THEN 'refund.succeeded' ELSE 'refund.failed' END
            FROM refunds r JOIN refund_history h ON (h.tenant_id, h.refund_id) = (r.tenant_id, r.refund_id)
            WHERE r.tenant_id = %(tenant_id)s AND r.payment_id = %(payment_id)s
              AND h.to_state IN ('succeeded', 'failed', 'canceled', 'refused')
        ) AS told (at, event_type)
    """,
    "webhook": """
        SELECT moment.at, moment.what, 'stripe', jsonb_build_object(
            'event_id', event_id, 'event_type', event_type, 'object_id', object_id, 'state', state, 'note', note,
            'occurred_at', occurred_at)
        FROM webhook_inbox
        CROSS JOIN LATERAL (VALUES (received_at, 'received'), (settled_at, state)) AS moment (at, what)
        WHERE (payment_id = %(payment_id)s
               OR object_id = ANY (ARRAY[%(intent_id)s::text, %(charge_id)s::text]
                                   || ARRAY(SELECT dispute_id FROM disputes WHERE payment_id = %(payment_id)s)
                                   || ARRAY(SELECT warning_id FROM early_fraud_warnings
                                            WHERE payment_id = %(payment_id)s)))
          AND moment.at IS NOT NULL
    """,
    "dispute": """
        SELECT h.at, h.to_status, h.by, jsonb_build_object(
            'seq', h.seq, 'dispute_id', h.dispute_id, 'from_status', h.from_status, 'reason', d.reason,
            'amount_minor', d.amount_minor, 'currency', d.currency, 'evidence_due_at', d.evidence_due_at)
        FROM disputes d JOIN dispute_history h USING (tenant_id, dispute_id)
        WHERE d.payment_id = %(payment_id)s
    """,
    "warning": """
        SELECT recorded_at, decision, NULL, jsonb_build_object(
            'warning_id', warning_id, 'fraud_type', fraud_type, 'reason', because, 'refund_id', refund_id)
        FROM early_fraud_warnings WHERE payment_id = %(payment_id)s
    """,
    "failure": """
        SELECT failed_at, verdict, kind, jsonb_build_object(
            'message_id', message_id, 'run', run, 'attempt', attempt, 'error_class', error_class, 'reason', reason,
            'traceback', traceback, 'next_due_at', next_due_at)
        FROM message_failures WHERE payment_id = %(payment_id)s
    """,
    "outbox": """
        SELECT created_at, 'waiting', kind, jsonb_build_object(
            'message_id', message_id, 'to', concat_ws(' ', nullif(exchange, ''), routing_key), 'attempt', attempt,
            'due_at', due_at, 'refusals', refusals)
        FROM outbox WHERE ordering_key = %(payment_id)s
    """,
    "dead letter": """
        SELECT moment.at, moment.what, moment.by, jsonb_build_object(
            'dead_letter_id', dead_letter_id, 'kind', kind, 'queue', queue, 'cause', cause, 'state', state,
            'reason', moment.reason, 'successor_of', successor_of)
        FROM dead_letters
        CROSS JOIN LATERAL (VALUES
            (died_at, 'died', source, reason), (closed_at, state, closed_by, closed_because))
            AS moment (at, what, by, reason)
        WHERE payment_id = %(payment_id)s AND moment.at IS NOT NULL
    """,
    "replay": """
        SELECT i.moved_at, i.state, b.started_by, jsonb_build_object(
            'batch_id', b.batch_id, 'batch_state', replace(b.state, 'cancelled', 'canceled'),
            'dead_letter_id', i.dead_letter_id, 'class', i.class, 'proof', i.proof)
        FROM replay_items i JOIN replay_batches b USING (batch_id) JOIN dead_letters d USING (dead_letter_id)
        WHERE d.payment_id = %(payment_id)s
    """,
    "operator": """
        SELECT at, action, operator, jsonb_build_object('seq', seq, 'reason', reason, 'subject', subject)
        FROM operator_log l
        WHERE subject ->> 'payment_id' = %(payment_id)s::text
           OR subject ->> 'event_id' = (SELECT ticketed_event_id::text FROM orders
                                        WHERE tenant_id = %(tenant_id)s AND order_id = %(order_id)s)
           OR EXISTS (
               SELECT FROM dead_letters d
               WHERE d.payment_id = %(payment_id)s AND l.subject -> 'letters' ? d.dead_letter_id::text)
           OR EXISTS (
               SELECT FROM replay_items i JOIN dead_letters d USING (dead_letter_id)
               WHERE d.payment_id = %(payment_id)s AND l.subject ->> 'batch_id' = i.batch_id::text)
    """,
}

_ALL: LiteralString = (
    "SELECT at, part, what, by, detail FROM ("
    + " UNION ALL ".join(
        f"SELECT {rank} AS rank, '{part}' AS part, one.* FROM ({select}) AS one (at, what, by, detail)"
        for rank, (part, select) in enumerate(PARTS.items())
    )
    + ") AS every ORDER BY at, rank, (detail ->> 'seq')::integer"
)
