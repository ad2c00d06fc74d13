"""What the API has answered under each Idempotency-Key. Work and answer are one transaction, so they exist together.

While a request is handled, its transaction holds an advisory lock on (tenant, caller, key). That lock is the claim: it
ends with the transaction, however that ends. A killed process loses it with its connection; one that hangs, or whose
machine has vanished, after IDLE_IN_TRANSACTION_TIMEOUT_MS at the latest (db/session.py): that is the lease. Tenant
transactions, except to delete what has expired.
"""

from dataclasses import dataclass

from db.session import Tx


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer that is still valid, and for how many seconds more.

    fingerprint   of the request that it answers: the same key with another one is an error of the caller
    location      the URL of what was created; None when nothing was
    """

    fingerprint: bytes
    status: int
    location: str | None
    body: bytes
    seconds_left: float


def claim(tx: Tx, *, caller: str, key: str) -> bool:
    """Take this key for the rest of the transaction; False when another request has it now. It never waits."""
    row = tx.execute(
        """
        SELECT pg_try_advisory_xact_lock(
            hashtextextended(concat_ws(' ', 'api', current_tenant(), %(key)s::text, %(caller)s::text), 0))
        """,
        {"caller": caller, "key": key},
    ).fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    return bool(row[0])


def find(tx: Tx, *, caller: str, key: str) -> KeptAnswer | None:
    """The answer under this key; None: none, or it has expired.

    Claim first: without that, it may just be being
    written.
    """
    row = tx.execute(
        """
        SELECT
            fingerprint, status, location, body,
            extract(epoch FROM expires_at - clock_timestamp())::float8
        FROM api_requests
        WHERE caller = %(caller)s AND idempotency_key = %(key)s AND expires_at > clock_timestamp()
        """,
        {"caller": caller, "key": key},
    ).fetchone()
    return KeptAnswer(bytes(row[0]), row[1], row[2], bytes(row[3]), row[4]) if row else None


def keep(
    tx: Tx,
    *,
    caller: str,
    key: str,
    fingerprint: bytes,
    status: int,
    location: str | None,
    body: bytes,
    seconds: float,
) -> bool:
    """Store the answer, over one that has expired; False when a valid one is there, which the caller must not ignore.

    Raises:
        psycopg.errors.ForeignKeyViolation: there is no such tenant.
    """
    kept = tx.execute(
        """
        INSERT INTO api_requests AS old (
            tenant_id, caller, idempotency_key, fingerprint, status, location, body, expires_at)
        VALUES (
            current_tenant(), %(caller)s, %(key)s, %(fingerprint)s, %(status)s, %(location)s, %(body)s,
            clock_timestamp() + make_interval(secs => %(seconds)s))
        ON CONFLICT (tenant_id, caller, idempotency_key) DO UPDATE
        SET fingerprint = excluded.fingerprint, status = excluded.status, location = excluded.location,
            body = excluded.body, answered_at = clock_timestamp(), expires_at = excluded.expires_at
        WHERE old.expires_at <= clock_timestamp()
        """,
        {
            "caller": caller,
            "key": key,
            "fingerprint": fingerprint,
            "status": status,
            "location": location,
            "body": body,
            "seconds": seconds,
        },
    )
    return kept.rowcount == 1


def forget_expired(tx: Tx, *, limit: int) -> int:
    """Delete up to so many answers that have expired; needs a system transaction. Returns how many went."""
    return tx.execute(
        """
        DELETE FROM api_requests
        WHERE expires_at <= clock_timestamp()                      -- again: it may have been written over meanwhile
          AND ctid = ANY (ARRAY(
            SELECT ctid FROM api_requests WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT %(limit)s))
        """,
        {"limit": limit},
    ).rowcount
