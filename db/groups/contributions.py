"""The contributions of a group: each member with the payment that pays it, every attempt, and whose the tickets are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.groups.states import MemberState
from db.payments.states import PaymentState
from db.session import Tx
from messages.ids import PaymentId, TicketId


@dataclass(frozen=True, slots=True)
class Contribution:
    """A member and its payment as both are; the payment's fields are None while nobody pays.

    share_minor       what this member contributes; the shares of a group add up to its amount
    payment_id        the payment that pays it now, its own or one of the organiser for it
    capture_before    when the authorisation ends; None: nothing is held
    given_back        all that was captured has gone back, by refunds that have succeeded or a lost dispute
    """

    member_id: UUID
    place: int
    buyer_id: str
    share_minor: int
    state: MemberState
    state_reason: str | None
    state_since: datetime
    payment_id: PaymentId | None
    payment_state: PaymentState | None
    payment_reason: str | None
    capture_before: datetime | None
    capture_is_asked: bool
    cancel_is_asked: bool
    given_back: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", MemberState(self.state))
        if self.payment_state is not None:
            object.__setattr__(self, "payment_state", PaymentState(self.payment_state))


# A dispute that is lost is money given back, by the bank.
_GIVEN_BACK = """
    (coalesce(c.refunded_minor = c.amount_minor
              AND NOT EXISTS (SELECT FROM refunds r
                              WHERE (r.tenant_id, r.payment_id) = (p.tenant_id, p.payment_id)
                                AND r.state IN ('requested', 'sending', 'pending', 'requires_action')), false)
     OR EXISTS (SELECT FROM disputes d
                WHERE (d.tenant_id, d.payment_id) = (p.tenant_id, p.payment_id) AND d.status IN ('lost', 'prevented')))
"""


def of_group(tx: Tx, group_id: UUID) -> list[Contribution]:
    """Every member, in the order in which they were named. Lock the group first to decide by it."""
    with tx.cursor(row_factory=class_row(Contribution)) as cursor:
        return cursor.execute(
            """
            SELECT
                m.member_id, m.place, m.buyer_id, m.share_minor, m.state, m.state_reason, m.state_since, m.payment_id,
                p.state AS payment_state, p.state_reason AS payment_reason, p.capture_before,
                coalesce(p.capture_requested_minor IS NOT NULL, false) AS capture_is_asked,
                coalesce(p.cancel_requested_at IS NOT NULL, false) AS cancel_is_asked,
            """
            + _GIVEN_BACK
            + """AS given_back
            FROM group_members m
            LEFT JOIN payments p ON (p.tenant_id, p.payment_id) = (m.tenant_id, m.payment_id)
            LEFT JOIN charges c ON (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
            WHERE m.group_id = %(id)s
            ORDER BY m.place
            """,
            {"id": group_id},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class ContributionPayment:
    """A payment that was begun for a group, whether it succeeded or not.

    payer_id, member_ids           who pays, and whose contributions: the organiser may pay those of others
    idempotency_key, fingerprint   of the request that began it: the same request finds this attempt
    is_over                        it holds nothing and keeps nothing, and never will
    """

    attempt: int
    payment_id: PaymentId
    kind: str
    payer_id: UUID
    member_ids: Sequence[UUID]
    idempotency_key: str
    fingerprint: bytes
    at: datetime
    amount_minor: int
    payment_state: PaymentState
    cancel_is_asked: bool
    is_over: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "payment_state", PaymentState(self.payment_state))


def attempts(tx: Tx, group_id: UUID) -> list[ContributionPayment]:
    """Every attempt, the first one first; the caller tells a repeated request by key and fingerprint."""
    with tx.cursor(row_factory=class_row(ContributionPayment)) as cursor:
        return cursor.execute(
            """
            SELECT
                a.attempt, a.payment_id, a.kind, a.payer_id, a.member_ids, a.idempotency_key, a.fingerprint, a.at,
                p.amount_minor, p.state AS payment_state, p.cancel_requested_at IS NOT NULL AS cancel_is_asked,
                p.state = 'canceled' OR p.state = 'succeeded' AND
            """
            + _GIVEN_BACK
            + """AS is_over
            FROM group_attempts a
            JOIN payments p ON (p.tenant_id, p.payment_id) = (a.tenant_id, a.payment_id)
            LEFT JOIN charges c ON (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
            WHERE a.group_id = %(id)s
            ORDER BY a.attempt
            """,
            {"id": group_id},
        ).fetchall()


def record_attempt(
    tx: Tx,
    group_id: UUID,
    *,
    attempt: int,
    payment_id: PaymentId,
    kind: str,
    payer_id: UUID,
    member_ids: Sequence[UUID],
    idempotency_key: str,
    fingerprint: bytes,
) -> None:
    """Note that this payment was begun; `attempt` is one more than the last. The caller holds the group's row locked.

    Raises:
        psycopg.errors.UniqueViolation: the attempt, or the payment, is noted already.
    """
    tx.execute(
        """
        INSERT INTO group_attempts (
            tenant_id, group_id, attempt, payment_id, kind, payer_id, member_ids, idempotency_key, fingerprint)
        VALUES (
            current_tenant(), %(group)s, %(attempt)s, %(payment_id)s, %(kind)s, %(payer)s, %(members)s, %(key)s,
            %(fingerprint)s)
        """,
        {
            "group": group_id,
            "attempt": attempt,
            "payment_id": payment_id,
            "kind": kind,
            "payer": payer_id,
            "members": list(member_ids),
            "key": idempotency_key,
            "fingerprint": fingerprint,
        },
    )


@dataclass(frozen=True, slots=True)
class HeldTicket:
    """A ticket of a group and the member that gets it; the organiser, unless another was named."""

    ticket_id: TicketId
    face_price_minor: int
    seat: str
    holder_id: UUID


def tickets(tx: Tx, group_id: UUID) -> list[HeldTicket]:
    """The tickets of a group, each member's own together, in the order in which the members were named."""
    with tx.cursor(row_factory=class_row(HeldTicket)) as cursor:
        return cursor.execute(
            """
            SELECT t.ticket_id, t.face_price_minor, t.seat, t.holder_id
            FROM group_tickets t
            JOIN group_members m ON (m.tenant_id, m.group_id, m.member_id) = (t.tenant_id, t.group_id, t.holder_id)
            WHERE t.group_id = %(id)s
            ORDER BY m.place, t.place
            """,
            {"id": group_id},
        ).fetchall()
