"""What refunds and lost disputes take of shares, once each, and what a dispute that was won after all gives again.

Only the claim on a share is changed here. Getting the money back from Stripe is a reversal (db/transfers/reversals.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from db.session import Tx
from messages.ids import ShareId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Clawback:
    """What one refund or loss takes of one share: `returned` of the share itself, `borne` in the platform's place.

    `borne` is what this recipient gives of the platform's fee when the platform keeps its own (the venue's policy).
    """

    share_id: ShareId
    returned: Money
    borne: Money


def take_back(tx: Tx, source_id: str, returns: Sequence[Clawback]) -> None:
    """Write what a refund or a lost dispute takes of shares. `source_id` names it at Stripe. Lock the shares first.

    Raises:
        psycopg.errors.UniqueViolation: this source took its part already.
        psycopg.errors.CheckViolation: a share has not got that much.
    """
    tx.execute(
        """
        WITH taken AS (
            SELECT * FROM jsonb_to_recordset(%(returns)s) AS t (
                share_id uuid, returned_minor bigint, borne_minor bigint, currency text)
        ), written AS (
            INSERT INTO share_returns (tenant_id, share_id, source_id, returned_minor, borne_minor, currency)
            SELECT current_tenant(), share_id, %(source_id)s, returned_minor, borne_minor, currency FROM taken
        )
        UPDATE shares s
        SET returned_minor = s.returned_minor + t.returned_minor, borne_minor = s.borne_minor + t.borne_minor
        FROM taken t WHERE s.share_id = t.share_id
        """,
        {
            "source_id": source_id,
            "returns": Jsonb(
                [
                    {
                        "share_id": str(clawback.share_id),
                        "returned_minor": clawback.returned.minor,
                        "borne_minor": clawback.borne.minor,
                        "currency": clawback.returned.currency,
                    }
                    for clawback in returns
                ]
            ),
        },
    )


def give_again(tx: Tx, source_id: str) -> list[Clawback]:
    """Undo what a lost dispute took, once; returns what each share got again, by share id; empty at a second call."""
    rows = tx.execute(
        """
        WITH undone AS (
            UPDATE share_returns SET undone = true
            WHERE source_id = %(source_id)s AND NOT undone
            RETURNING share_id, returned_minor, borne_minor, currency
        ), again AS (
            UPDATE shares s
            SET returned_minor = s.returned_minor - u.returned_minor, borne_minor = s.borne_minor - u.borne_minor
            FROM undone u WHERE s.share_id = u.share_id
        )
        SELECT share_id, returned_minor, borne_minor, currency FROM undone ORDER BY share_id
        """,
        {"source_id": source_id},
    ).fetchall()
    return [Clawback(ShareId(row[0]), Money(row[1], row[3]), Money(row[2], row[3])) for row in rows]
