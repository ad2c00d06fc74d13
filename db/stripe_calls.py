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
    """An outside call about to be made, or its answer. Ages are measured by the database's clock, in seconds.

    generation        1, and one more for each time that the call before was proved absent
    idempotency_key   operation, our id and generation: the same in every retry of this generation
    request           the body, built once and sent unchanged
    sends             how often it was, or may have been, sent
    outcome           unknown, answered, or absent (proved never to have happened)
    needs_lookup      the key replays a failure: ask Stripe before anything else is sent
    """

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


# Nothing is inserted where another call of the subject is in the way, nor where one was proved absent after we counted.
_INSERT_NEXT_GENERATION: LiteralString = (
    """
    WITH previous AS (
        SELECT coalesce(max(generation), 0) AS generation
        FROM calls
        WHERE operation = %(operation)s AND subject_id = %(subject_id)s AND outcome = 'absent'
    )
    INSERT INTO calls (tenant_id, operation, subject_id, generation, idempotency_key, request)
    SELECT
        current_tenant(), %(operation)s, %(subject_id)s, generation + 1,
        concat_ws(':', %(operation)s, %(named_after)s, 'g' || (generation + 1)), %(request)s
    FROM previous
    ON CONFLICT DO NOTHING
    RETURNING
    """
    + _COLUMNS
)
_COUNT_A_SEND: LiteralString = (
    """
    UPDATE calls SET sends = sends + 1, last_sent_at = clock_timestamp()
    WHERE operation = %(operation)s AND subject_id = %(subject_id)s AND outcome || '' = 'unknown' AND NOT needs_lookup
      AND first_sent_at > clock_timestamp() - make_interval(secs => %(life)s)
    RETURNING
    """
    + _COLUMNS
)
# The live call must not be sent again: it is answered, or has to be looked up first.
_READ_LIVE: LiteralString = "SELECT" + _COLUMNS + _OF_LIVE_CALL

# A live call that is proved absent between two of our statements makes us begin anew, with the generation after it. The
# proof takes a look at Stripe and the end of a key's life, so a second one in the same moment cannot be.
_ROUNDS = 2


def begin(
    tx: Tx, *, operation: str, subject_id: UUID, request: dict[str, Any], named_after: UUID | None = None
) -> StripeCall:
    """The live call of this operation and subject; made with `request` when there is none, otherwise with its first
    body.

    Call it in the transaction before the sending, and commit (M6): a crash then leaves a row that says what may have
    been sent. Its key is made of our ids: of the subject's, or of `named_after`, where the subject's own would not
    survive the loss of this database.

    The next generation starts only where the one before was proved absent (a unique index holds that). A call that must
    be looked up is returned without counting a send, so that its ages still say when the key was really used.

    Of several that begin at once one inserts, and the others return its call. `ON CONFLICT` names no index on purpose:
    a named one turns only its own violations into a conflict, and the three unique keys of a call are hit together.

    Raises:
        AssertionError: a call of another subject holds the key; nothing was written.
    """
    wanted = {
        "operation": operation,
        "subject_id": subject_id,
        "named_after": named_after or subject_id,
        "request": Jsonb(request),
        "life": KEY_LIFE_SECONDS,
    }
    with tx.cursor(row_factory=class_row(StripeCall)) as cursor:
        for _ in range(_ROUNDS):
            # Insert first: a first call is by far the most frequent, and then costs one statement.
            for statement in (_INSERT_NEXT_GENERATION, _COUNT_A_SEND, _READ_LIVE):
                call = cursor.execute(statement, wanted).fetchone()
                if call is not None:
                    return call
    raise AssertionError(f"no call of {operation} {subject_id} is live, and yet its next key is taken")


def live(tx: Tx, *, operation: str, subject_id: UUID) -> StripeCall | None:
    """The live call of this operation and subject, unchanged and unlocked; None when nothing may have been sent."""
    with tx.cursor(row_factory=class_row(StripeCall)) as cursor:
        return cursor.execute(_READ_LIVE, {"operation": operation, "subject_id": subject_id}).fetchone()


def settle(tx: Tx, call: StripeCall, *, answer: str, object_id: str | None, request_id: str | None) -> None:
    """unknown -> answered; an answer that is there already stays.

    `answer` is a word for people, the object Stripe's
    id.
    """
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
    """unknown -> answered, when the answer came by a webhook or a look-up and not from the call itself."""
    tx.execute(
        """
        UPDATE calls
        SET outcome = 'answered', answer = %(answer)s, stripe_object_id = %(object_id)s, settled_at = clock_timestamp()
        WHERE operation = %(operation)s AND subject_id = %(subject_id)s AND outcome || '' = 'unknown'
        """,
        {"operation": operation, "subject_id": subject_id, "answer": answer, "object_id": object_id},
    )


def require_lookup(tx: Tx, call: StripeCall, *, answer: str) -> None:
    """The key replays a failure (a stored 5xx): sending it again proves nothing, so Stripe must be asked first.

    Still
    unknown.
    """
    tx.execute(
        """
        UPDATE calls SET needs_lookup = true, answer = %(answer)s
        WHERE call_id = %(call_id)s AND outcome || '' = 'unknown'
        """,
        {"call_id": call.call_id, "answer": answer},
    )


def prove_absent(tx: Tx, call: StripeCall, *, proof: str) -> None:
    """unknown -> absent: Stripe was asked, past the life of the key, and has no such object.

    The next `begin` has a new
    key.
    """
    tx.execute(
        """
        UPDATE calls SET outcome = 'absent', answer = %(proof)s, settled_at = clock_timestamp()
        WHERE call_id = %(call_id)s AND outcome || '' = 'unknown'
        """,
        {"call_id": call.call_id, "proof": proof},
    )


def is_under_way(tx: Tx, subject_id: UUID | None) -> bool:
    """True when something may have been sent for this subject, of any operation, and its answer is not known yet
    (M13).
    """
    row = tx.execute(
        "SELECT EXISTS (SELECT FROM calls WHERE outcome = 'unknown' AND subject_id = %(subject_id)s)",
        {"subject_id": subject_id},
    ).fetchone()
    assert row is not None, "SELECT EXISTS always returns a row"
    return bool(row[0])
