"""Outside calls: one row per effect we want, written before anything is sent.

A call is `unknown` from the moment we may have sent it until an answer is written down (M13). The body is kept as it
was first built, because Stripe refuses the same key with any other body. A key lives for at least 24 hours at Stripe;
past KEY_LIFE_SECONDS nothing is sent again before Stripe has been asked what became of it.
"""

from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.session import Tx

# Stripe may prune keys once they are 24 hours old (docs.stripe.com/api/idempotent_requests); an hour is our margin.
KEY_LIFE_SECONDS = 23 * 3_600


@dataclass(frozen=True, slots=True)
class StripeCall:
    """An outside call about to be made, or its answer. Ages are measured by the database's clock, in seconds."""

    call_id: UUID
    operation: str
    subject_id: UUID
    generation: int
    idempotency_key: str
    request: dict[str, Any]
    sends: int
    outcome: str
    needs_lookup: bool
    first_sent_epoch: float
    age_seconds: float
    seconds_since_last_send: float

    @property
    def must_look_up(self) -> bool:
        """True when sending the key again proves nothing, or could even be a second effect."""
        return self.outcome != "unknown" or self.needs_lookup or self.age_seconds >= KEY_LIFE_SECONDS


_COLUMNS: LiteralString = """
    call_id, operation, subject_id, generation, idempotency_key, request, sends, outcome, needs_lookup,
    extract(epoch FROM first_sent_at)::float8 AS first_sent_epoch,
    extract(epoch FROM clock_timestamp() - first_sent_at)::float8 AS age_seconds,
    extract(epoch FROM clock_timestamp() - last_sent_at)::float8 AS seconds_since_last_send
"""
_OF_LIVE_CALL: LiteralString = """
    FROM calls
    WHERE operation = %(operation)s AND subject_id = %(subject_id)s AND outcome <> 'absent'
"""


def begin(
    tx: Tx, *, operation: str, subject_id: UUID, request: dict[str, Any], named_after: UUID | None = None
) -> StripeCall:
    """The live call of this operation and subject; made with `request` when there is none, else with its first body.

    Its key is made of our ids: of the subject's, or of what `named_after` says, where the subject's own would not
    survive the loss of this book.

    The next generation starts only where the one before was proved absent (a unique index holds that). A call that must
    be looked up is returned without counting a send, so that its ages keep telling when the key was really used.
    """
    with tx.cursor(row_factory=class_row(StripeCall)) as cursor:
        call = cursor.execute(
            """
            WITH previous AS (
                SELECT coalesce(max(generation), 0) AS generation
                FROM calls
                WHERE operation = %(operation)s AND subject_id = %(subject_id)s AND outcome = 'absent'
            )
            INSERT INTO calls AS live (tenant_id, operation, subject_id, generation, idempotency_key, request)
            SELECT
                current_tenant(), %(operation)s, %(subject_id)s, generation + 1,
                concat_ws(':', %(operation)s, %(named_after)s, 'g' || (generation + 1)), %(request)s
            FROM previous
            ON CONFLICT (tenant_id, operation, subject_id) WHERE outcome <> 'absent' DO UPDATE
            SET sends = live.sends + 1, last_sent_at = clock_timestamp()
            WHERE live.outcome = 'unknown' AND NOT live.needs_lookup
              AND live.first_sent_at > clock_timestamp() - make_interval(secs => %(life)s)
            RETURNING
            """
            + _COLUMNS,
            {
                "operation": operation,
                "subject_id": subject_id,
                "named_after": named_after or subject_id,
                "request": Jsonb(request),
                "life": KEY_LIFE_SECONDS,
            },
        ).fetchone()
        if call is None:  # the live call must not be sent again: it is answered, or has to be looked up first
            call = cursor.execute(
                "SELECT" + _COLUMNS + _OF_LIVE_CALL, {"operation": operation, "subject_id": subject_id}
            ).fetchone()
    assert call is not None, "either the call was inserted, or a live one is in the way"
    return call


def live(tx: Tx, *, operation: str, subject_id: UUID) -> StripeCall | None:
    """The live call of this operation and subject, untouched; None when nothing was ever sent."""
    with tx.cursor(row_factory=class_row(StripeCall)) as cursor:
        return cursor.execute(
            "SELECT" + _COLUMNS + _OF_LIVE_CALL, {"operation": operation, "subject_id": subject_id}
        ).fetchone()


def settle(tx: Tx, call: StripeCall, *, answer: str, object_id: str | None, request_id: str | None) -> None:
    """Write the answer down; an answer that is there already stays."""
    tx.execute(
        """
        UPDATE calls
        SET outcome = 'answered', answer = %(answer)s, stripe_object_id = %(object_id)s,
            stripe_request_id = %(request_id)s, settled_at = clock_timestamp()
        WHERE call_id = %(call_id)s AND outcome || '' = 'unknown'
        """,
        {"call_id": call.call_id, "answer": answer, "object_id": object_id, "request_id": request_id},
    )


def settle_by_subject(tx: Tx, *, operation: str, subject_id: UUID, answer: str, object_id: str | None) -> None:
    """Write the answer down when it reached us by another road than the call's own: a webhook or a lookup."""
    tx.execute(
        """
        UPDATE calls
        SET outcome = 'answered', answer = %(answer)s, stripe_object_id = %(object_id)s, settled_at = clock_timestamp()
        WHERE operation = %(operation)s AND subject_id = %(subject_id)s AND outcome || '' = 'unknown'
        """,
        {"operation": operation, "subject_id": subject_id, "answer": answer, "object_id": object_id},
    )


def require_lookup(tx: Tx, call: StripeCall, *, answer: str) -> None:
    """The key replays a failure (a stored 5xx): sending it again tells nothing, so ask before anything else is sent."""
    tx.execute(
        """
        UPDATE calls SET needs_lookup = true, answer = %(answer)s
        WHERE call_id = %(call_id)s AND outcome || '' = 'unknown'
        """,
        {"call_id": call.call_id, "answer": answer},
    )


def prove_absent(tx: Tx, call: StripeCall, *, proof: str) -> None:
    """Close this generation: Stripe was asked, past the life of the key, and has no such object."""
    tx.execute(
        """
        UPDATE calls SET outcome = 'absent', answer = %(proof)s, settled_at = clock_timestamp()
        WHERE call_id = %(call_id)s AND outcome || '' = 'unknown'
        """,
        {"call_id": call.call_id, "proof": proof},
    )


def is_under_way(tx: Tx, subject_id: UUID | None) -> bool:
    """True when something may have been sent for this subject, and its answer is not known yet."""
    row = tx.execute(
        "SELECT EXISTS (SELECT FROM calls WHERE outcome = 'unknown' AND subject_id = %(subject_id)s)",
        {"subject_id": subject_id},
    ).fetchone()
    assert row is not None, "SELECT EXISTS always returns a row"
    return bool(row[0])
