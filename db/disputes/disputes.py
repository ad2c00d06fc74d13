"""Disputes: the row, and what asking Stripe about it changes (states.py draws the statuses).

Stripe decides, so there is one move for all: to the status that Stripe reports. `looks` counts the reports that were
written: a worker that asked Stripe while another report was written asks again, so that an older answer never
overwrites a newer one (M18). Evidence, decision and submission belong to the stage (inquiry, chargeback, appeal), and
each stage is answered anew.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.disputes.states import ANSWERABLE, CLOSED_DISPUTES, DISPUTE_MOVES, FORBIDS_REFUND, DisputeStatus
from db.lifecycle import leading_to
from db.session import Tx
from messages.ids import DisputeId, OrderId, PaymentId, TenantId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute as read inside one transaction. Amounts are minor units of `currency`, the charge's.

    track, stage          how Stripe handles it; a new stage (inquiry, chargeback, appeal) can be answered again
    evidence              a draft until it is submitted, then what was submitted: Stripe's field -> text
    wish, wish_id         what an operator decided for this stage (submit or accept), and the id of that decision; None:
                          nothing is decided. A worker carries it out
    wish_refused          why Stripe did not do the last decision; None when it was not refused
    submitted_at          when evidence of this stage went to Stripe; None: not yet
    card_facts            what Stripe said of the card and its check; None when it said nothing
    lost_minor            None until a loss is booked; lost_obligation_minor and lost_platform_fee_minor are parts of it
    looks                 how often a report of Stripe was written; compared before the next one is
    """

    tenant_id: TenantId
    dispute_id: DisputeId
    payment_id: PaymentId
    order_id: OrderId
    venue_id: VenueId
    charge_id: str
    amount_minor: int
    currency: str
    reason: str
    status: DisputeStatus
    track: str
    stage: str
    status_since: datetime
    evidence_due_at: datetime | None
    evidence: dict[str, str]
    evidence_by: str
    wish: str | None
    wish_id: UUID | None
    wish_at: datetime | None
    wish_by: str | None
    wish_refused: str | None
    submitted_at: datetime | None
    card_facts: dict[str, Any] | None
    lost_minor: int | None
    lost_obligation_minor: int | None
    lost_platform_fee_minor: int | None
    loss_reversed: bool
    looks: int
    opened_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", DisputeStatus(self.status))

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def is_answerable(self) -> bool:
        """True while Stripe takes evidence for this stage and none was submitted; the deadline is not looked at."""
        return self.status in ANSWERABLE and self.submitted_at is None

    @property
    def is_closed(self) -> bool:
        return self.status in CLOSED_DISPUTES


SELECT: LiteralString = """
    SELECT
        d.tenant_id, d.dispute_id, d.payment_id, p.order_id, p.venue_id, d.charge_id, d.amount_minor, d.currency,
        d.reason, d.status, d.track, d.stage, d.status_since, d.evidence_due_at, d.evidence, d.evidence_by, d.wish,
        d.wish_id, d.wish_at, d.wish_by, d.wish_refused, d.submitted_at, d.card_facts, d.lost_minor,
        d.lost_obligation_minor, d.lost_platform_fee_minor, d.loss_reversed, d.looks, d.opened_at
    FROM disputes d
    JOIN payments p ON (p.tenant_id, p.payment_id) = (d.tenant_id, d.payment_id)
"""


def get(tx: Tx, dispute_id: DisputeId) -> Dispute | None:
    """The dispute; None when the tenant has no such dispute. Its payment's row lock is what orders its moves."""
    with tx.cursor(row_factory=class_row(Dispute)) as cursor:
        return cursor.execute(SELECT + "WHERE d.dispute_id = %(id)s", {"id": dispute_id}).fetchone()


def of_payment(tx: Tx, payment_id: PaymentId) -> list[Dispute]:
    """Every dispute of a payment, oldest first."""
    with tx.cursor(row_factory=class_row(Dispute)) as cursor:
        return cursor.execute(
            SELECT + "WHERE d.payment_id = %(id)s ORDER BY d.opened_at, d.dispute_id", {"id": payment_id}
        ).fetchall()


def forbids_refund(tx: Tx, payment_id: PaymentId) -> DisputeId | None:
    """The dispute because of which Stripe refuses every refund of this payment; None when there is none.

    An inquiry is
    none.
    """
    row = tx.execute(
        "SELECT dispute_id FROM disputes WHERE payment_id = %(id)s AND status = ANY (%(statuses)s) LIMIT 1",
        {"id": payment_id, "statuses": sorted(FORBIDS_REFUND)},
    ).fetchone()
    return row[0] if row else None


@dataclass(frozen=True, slots=True)
class DisputeSnapshot:
    """A dispute as Stripe reported it. `card_facts` None: this report had none, and what is stored stays.

    `evidence_due_at` is None when the stage takes no answer; `opened_at` is Stripe's time.
    """

    dispute_id: DisputeId
    charge_id: str
    amount: Money
    reason: str
    status: DisputeStatus
    evidence_due_at: datetime | None
    card_facts: dict[str, Any] | None
    opened_at: datetime


def record(tx: Tx, payment_id: PaymentId, seen: DisputeSnapshot, *, stage: str, submitted: bool, by: str) -> None:
    """Write a dispute that is not known yet, in whatever status Stripe reports it. Lock its payment first.

    Raises:
        psycopg.errors.UniqueViolation: it is known by now; read it and use `move`.
    """
    tx.execute(
        """
        INSERT INTO disputes (
            tenant_id, dispute_id, payment_id, charge_id, amount_minor, currency, reason, status, status_by, stage,
            evidence_due_at, card_facts, submitted_at, opened_at)
        VALUES (
            current_tenant(), %(dispute_id)s, %(payment_id)s, %(charge_id)s, %(amount)s, %(currency)s, %(reason)s,
            %(status)s, %(by)s, %(stage)s, %(due_at)s, %(card)s,
            CASE WHEN %(submitted)s THEN clock_timestamp() END, %(opened_at)s)
        """,
        {
            "payment_id": payment_id,
            "charge_id": seen.charge_id,
            "currency": seen.amount.currency,
            "stage": stage,
            "submitted": submitted,
            "opened_at": seen.opened_at,
            **_facts(seen, by),
        },
    )


def move(tx: Tx, seen: DisputeSnapshot, *, stage: str, submitted: bool, by: str) -> bool:
    """Bring the dispute to the status that Stripe reports, and count the report; False when no legal moves lead there.

    The same status again is not a move and returns True: amount, deadline and card facts are still brought up to date.
    A new stage begins with no evidence, no decision and nothing submitted. Lock its payment and compare `looks` first.
    """
    moved = tx.execute(
        """
        UPDATE disputes
        SET status = %(status)s,
            status_by = CASE WHEN status = %(status)s THEN status_by ELSE %(by)s END,
            amount_minor = %(amount)s, reason = %(reason)s, evidence_due_at = %(due_at)s,
            card_facts = coalesce(%(card)s, card_facts),
            evidence = CASE WHEN stage = %(stage)s THEN evidence ELSE '{}' END,
            evidence_by = CASE WHEN stage = %(stage)s THEN evidence_by ELSE 'fleet' END,
            wish = CASE WHEN stage = %(stage)s THEN wish END,
            wish_id = CASE WHEN stage = %(stage)s THEN wish_id END,
            wish_at = CASE WHEN stage = %(stage)s THEN wish_at END,
            wish_by = CASE WHEN stage = %(stage)s THEN wish_by END,
            wish_refused = CASE WHEN stage = %(stage)s THEN wish_refused END,
            submitted_at = CASE
                WHEN stage = %(stage)s AND submitted_at IS NOT NULL THEN submitted_at
                WHEN %(submitted)s THEN clock_timestamp() END,
            stage = %(stage)s, looks = looks + 1, looked_at = clock_timestamp()
        WHERE dispute_id = %(dispute_id)s AND status || '' = ANY (%(leaving)s)
        """,
        {
            "stage": stage,
            "submitted": submitted,
            "leaving": [*leading_to(DISPUTE_MOVES, seen.status), seen.status.value],
            **_facts(seen, by),
        },
    )
    return moved.rowcount == 1


def _facts(seen: DisputeSnapshot, by: str) -> dict[str, object]:
    return {
        "dispute_id": seen.dispute_id,
        "status": seen.status.value,
        "amount": seen.amount.minor,
        "reason": seen.reason,
        "due_at": seen.evidence_due_at,
        "card": Jsonb(seen.card_facts) if seen.card_facts is not None else None,
        "by": by,
    }


def write_evidence(tx: Tx, dispute_id: DisputeId, evidence: dict[str, str], *, by: str) -> bool:
    """Keep a draft of the evidence, in place of the last one; False when the dispute takes none: decided, submitted or
    closed.
    """
    written = tx.execute(
        """
        UPDATE disputes SET evidence = %(evidence)s, evidence_by = %(by)s
        WHERE dispute_id = %(id)s AND wish IS NULL AND submitted_at IS NULL AND status = ANY (%(answerable)s)
        """,
        {"id": dispute_id, "evidence": Jsonb(evidence), "by": by, "answerable": sorted(ANSWERABLE)},
    )
    return written.rowcount == 1


def decide(tx: Tx, dispute_id: DisputeId, wish: str, *, by: str) -> bool:
    """Store what is to be done, 'submit' or 'accept', under a new `wish_id`; False when it is decided, submitted or
    closed.

    The first decision of a stage stays until Stripe has refused it. The caller appends the message that carries it out.
    """
    decided = tx.execute(
        """
        UPDATE disputes
        SET wish = %(wish)s, wish_id = uuidv7(), wish_at = clock_timestamp(), wish_by = %(by)s, wish_refused = NULL
        WHERE dispute_id = %(id)s AND wish IS NULL AND submitted_at IS NULL AND status = ANY (%(answerable)s)
        """,
        {"id": dispute_id, "wish": wish, "by": by, "answerable": sorted(ANSWERABLE)},
    )
    return decided.rowcount == 1


def refuse_wish(tx: Tx, dispute: Dispute, *, because: str) -> bool:
    """Stripe refused the decision: the evidence may be changed, and it may be decided again.

    False when the decision that was refused is no longer the stored one: a later decision or stage is not undone.
    """
    refused = tx.execute(
        """
        UPDATE disputes
        SET wish = NULL, wish_id = NULL, wish_at = NULL, wish_by = NULL, wish_refused = %(because)s
        WHERE dispute_id = %(id)s AND wish_id = %(wish_id)s
        """,
        {"id": dispute.dispute_id, "wish_id": dispute.wish_id, "because": because},
    )
    return refused.rowcount == 1
