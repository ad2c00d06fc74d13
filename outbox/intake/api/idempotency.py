"""One key, one answer: `Idempotency-Key`, scoped to tenant and user, with the request's fingerprint.

Claim, work and response are one database transaction (db/idempotency_keys.py), so a crash at any line leaves all of it
or nothing. Valkey only caches committed responses: if it is wiped or unavailable, the database is read instead.

    the same request again       the same response, byte for byte, with `Idempotent-Replayed: true`
    a different request          422
    a request still in progress  409, retry after a second
    stored                       success 24 hours, client errors one hour, server errors never
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
import psycopg
from psycopg import errors
from starlette.responses import Response

from db import idempotency_keys
from db.idempotency_keys import KeptAnswer
from db.session import Database, Tx
from messages.runtime.crash_points import crash_point
from outbox.intake.api.cache import Cache, CacheAwayError
from outbox.intake.api.callers import Caller
from outbox.process.metrics import API_ANSWERS
from outbox.web.problem_codes import ProblemCode
from outbox.web.problem_details import MEDIA_TYPE, Problem

SUCCESS_SECONDS = 24 * 3600
CLIENT_ERROR_SECONDS = 3600
# These depend on the caller or on the server, not on the request: a retry may succeed.
NEVER_KEPT = frozenset({401, 403, 408, 413, 415, 429})
REPLAYED = "Idempotent-Replayed"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A response as it is sent and stored: JSON bytes, so that a replay is identical."""

    status: int
    body: bytes
    location: str | None = None

    def response(self, *, replayed: bool) -> Response:
        """The HTTP response; a replay is marked by a header and has the same status, body and Location."""
        headers = {"Location": self.location} if self.location else {}
        headers |= {REPLAYED: "true"} if replayed else {}
        return Response(self.body, self.status, headers, MEDIA_TYPE if self.status >= 400 else "application/json")


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request under its key. `fingerprint` is the SHA-256 of method, path and canonical body."""

    caller: Caller
    key: str
    fingerprint: bytes

    @classmethod
    def of(cls, caller: Caller, key: str, method: str, path: str, body: Any) -> "Keyed":
        """The request under its key. `path` has its ids filled in; the order of the body's fields does not matter."""
        canonical = orjson.dumps([method, path, body], option=orjson.OPT_SORT_KEYS)
        return cls(caller, key, sha256(canonical).digest())

    @property
    def request_key(self) -> str:
        """Identifies this very request: the same key with another body, a day later, is another request."""
        return f"api:{sha256(self.digest.encode() + self.fingerprint).hexdigest()}"

    @property
    def digest(self) -> str:
        """A digest of tenant, user and key, which reveals none of them."""
        words = f"{self.caller.tenant_id} {self.key} {self.caller.subject}"
        return sha256(words.encode()).hexdigest()


class IdempotentAnswers:
    """Stored responses, in the database and, as a copy, in Valkey. Called from the API's threads; it holds no state."""

    def __init__(self, db: Database, fast: Cache) -> None:
        self._db = db
        self._fast = fast

    def once(self, request: Keyed, work: Callable[[Tx], StoredAnswer]) -> tuple[StoredAnswer, bool]:
        """The response stored under the key, or the one that `work` returns now; True if it is a replay.

        `work` runs in the transaction that stores its response, so all of its writes must happen there.

        Raises:
            Problem: the key was used for another request, is in use right now, or the error is not to be stored.
            psycopg.Error: the database is unavailable; either nothing happened, or a retry returns the response.
        """
        kept = self._remembered(request)
        if kept is not None:
            return _same(request, kept, "fast"), True
        with self._db.transaction(request.caller.tenant_id) as tx:
            if not idempotency_keys.claim(tx, caller=request.caller.subject, key=request.key):
                raise _in_progress()
            standing = idempotency_keys.find(tx, caller=request.caller.subject, key=request.key)
            kept = standing or _work_and_keep(tx, request, work)
            crash_point("api.before_commit")
        crash_point("api.after_commit")
        answer = _same(request, kept, "book" if standing else "new")
        self._remember(request, kept)
        return answer, standing is not None

    def _remembered(self, request: Keyed) -> KeptAnswer | None:
        """A committed response from Valkey; None when there is none, it cannot be decoded, or Valkey is unavailable."""
        try:
            found = self._fast.ask(lambda: self._fast.client.get(_name(request)))
        except CacheAwayError:
            return None
        return _unpacked(found) if isinstance(found, bytes) else None

    def _remember(self, request: Keyed, kept: KeptAnswer) -> None:
        """Copy a committed response to Valkey for as long as the database keeps it; a failure is ignored."""
        seconds = int(kept.seconds_left)
        if seconds < 1:
            return
        try:
            self._fast.ask(lambda: self._fast.client.set(_name(request), _packed(kept), ex=seconds))
        except CacheAwayError:
            return


def _work_and_keep(tx: Tx, request: Keyed, work: Callable[[Tx], StoredAnswer]) -> KeptAnswer:
    """Do the work and store its response in the same transaction.

    A token may name a tenant that does not exist; the foreign key of the stored response is what finds that.
    """
    answer = _worked(tx, work)
    seconds = SUCCESS_SECONDS if answer.status < 400 else CLIENT_ERROR_SECONDS
    try:
        kept = idempotency_keys.keep(
            tx,
            caller=request.caller.subject,
            key=request.key,
            fingerprint=request.fingerprint,
            status=answer.status,
            location=answer.location,
            body=answer.body,
            seconds=seconds,
        )
    except errors.ForeignKeyViolation:
        raise Problem(ProblemCode.UNKNOWN_TENANT, "the tenant of this token does not exist") from None
    if not kept:  # only without the claim: what was done is undone, and the first answer stands
        raise _in_progress()
    return KeptAnswer(request.fingerprint, answer.status, answer.location, answer.body, seconds)


def _worked(tx: Tx, work: Callable[[Tx], StoredAnswer]) -> StoredAnswer:
    """A client error is stored as well: the work is rolled back to the savepoint, and the response is kept."""
    try:
        with tx.transaction():  # a savepoint, inside the transaction that holds the claim
            return work(tx)
    except Problem as problem:
        if problem.status >= 500 or problem.status in NEVER_KEPT:
            raise
        refused = problem
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        reason = error.diag.message_primary or str(error)
        refused = Problem(ProblemCode.CONSTRAINT_VIOLATION, f"the database rejected the request: {reason}")
    return StoredAnswer(refused.status, orjson.dumps(refused.document))


def _same(request: Keyed, kept: KeptAnswer, outcome: str) -> StoredAnswer:
    """The stored response, if it belongs to this request.

    Raises:
        Problem: 422, the key was used for a request with another fingerprint.
    """
    if kept.fingerprint != request.fingerprint:
        API_ANSWERS.labels("mismatch").inc()
        detail = "this Idempotency-Key was used for a different request; use a new key for a new request"
        raise Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, detail)
    API_ANSWERS.labels(outcome).inc()
    return StoredAnswer(kept.status, kept.body, kept.location)


def _in_progress() -> Problem:
    API_ANSWERS.labels("in_progress").inc()
    detail = "a request with this Idempotency-Key is in progress; retry in a second"
    return Problem(ProblemCode.REQUEST_IN_PROGRESS, detail, headers={"Retry-After": "1"})


def _name(request: Keyed) -> str:
    return f"fleet:api:answer:{request.digest}"


def _packed(kept: KeptAnswer) -> bytes:
    return orjson.dumps(
        {
            "fingerprint": kept.fingerprint.hex(),
            "status": kept.status,
            "location": kept.location,
            "body": kept.body.decode(),
        }
    )


def _unpacked(packed: bytes) -> KeptAnswer | None:
    """None if it cannot be decoded: the response is then read from the database."""
    try:
        fields = orjson.loads(packed)
        fingerprint, body = bytes.fromhex(fields["fingerprint"]), fields["body"].encode()
        return KeptAnswer(fingerprint, int(fields["status"]), fields["location"], body, 0)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
