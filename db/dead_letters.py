"""Dead letters: what no retry can help, with its reason, for a person to read. Nothing expires."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from db.session import Tx
from db.text import storable


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`payload` is redacted text; `original` the bytes as they came, of which only the SHA-256 is kept."""

    source: str
    reason: str
    payload: str
    original: bytes
    tenant_id: UUID | None = None
    message_id: str | None = None
    kind: str | None = None
    payment_id: UUID | None = None
    headers: dict[str, Any] = field(default_factory=dict)


def bury(tx: Tx, letter: DeadLetter) -> bool:
    """Write the letter; False when the same bytes under the same id lie there already (a redelivery)."""
    buried = tx.execute(
        """
        INSERT INTO dead_letters (
            tenant_id, source, message_id, kind, payment_id, reason, payload, payload_sha256, headers)
        VALUES (
            %(tenant_id)s, %(source)s, %(message_id)s, %(kind)s, %(payment_id)s, %(reason)s, %(payload)s,
            %(sha256)s, %(headers)s)
        ON CONFLICT DO NOTHING
        """,
        {
            "tenant_id": letter.tenant_id,
            "source": letter.source,
            "message_id": storable(letter.message_id) if letter.message_id else None,
            "kind": storable(letter.kind) if letter.kind else None,
            "payment_id": letter.payment_id,
            "reason": storable(letter.reason),
            "payload": storable(letter.payload),
            "sha256": sha256(letter.original).digest(),
            "headers": Jsonb(letter.headers),
        },
    )
    return buried.rowcount == 1


def count_open(tx: Tx) -> int:
    row = tx.execute("SELECT count(*) FROM dead_letters WHERE state = 'open'").fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row[0])
