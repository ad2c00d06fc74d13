"""The platform's payouts as Stripe lists them, what each contained, and whose that was; a system transaction.

Whose a contained line is, the ledger says (view book_lines). The line of a payout made by hand is nobody's: it took
from everybody what the automatic payout that contains it no longer had to take, so it explains itself. The journals are
posted by workers/payouts, in the transaction of each tenant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from db.reconciliation.balance_transactions import PAYOUT_TYPES
from db.session import Tx
from messages.ids import TenantId
from messages.statement_lines import BankPayout


@dataclass(frozen=True, slots=True)
class Payout:
    """A payout of the platform (docs.stripe.com/api/payouts/object); `automatic` False: somebody made it by hand.

    contents_ready   Stripe can list what it contained
    listed_to        the last balance transaction that was marked as contained; None: none yet
    listed_at        when the last page was marked; None: the list is not complete
    booked_at        when every tenant's part was in the ledger; None: not yet
    reversed_at      when the mirror journals of a failed one were in the ledger; None: not yet, or it did not fail
    """

    payout_id: str
    amount_minor: int
    currency: str
    automatic: bool
    status: str
    balance_transaction_id: str | None
    contents_ready: bool
    listed_to: str | None
    listed_at: datetime | None
    booked_at: datetime | None
    reversed_at: datetime | None

    @property
    def came_back(self) -> bool:
        return self.status in {"failed", "canceled"}


def note(tx: Tx, bank_payouts: Sequence[BankPayout]) -> None:
    """Write payouts, or what is new of them; a failed one stays so, whatever an older answer says (M18).

    Raises:
        AssertionError: another payout holds the same balance transaction; look at both at Stripe.
    """
    for payout in bank_payouts:
        values = _as_values(payout)
        # No index is named: a payout has several unique keys, and two that note it at once may meet in any of them.
        written = tx.execute(
            """
            INSERT INTO payouts (
                payout_id, amount_minor, currency, automatic, status, failure_code, balance_transaction_id,
                failure_balance_transaction_id, contents_ready, created_at, arrives_at)
            VALUES (
                %(payout_id)s, %(amount)s, %(currency)s, %(automatic)s, %(status)s, %(failure_code)s, %(balance)s,
                %(failure_balance)s, %(contents_ready)s, %(created_at)s, %(arrives_at)s)
            ON CONFLICT DO NOTHING
            """,
            values,
        )
        known = written.rowcount == 1 or _renew(tx, values)
        assert known, f"a balance transaction of {payout.payout_id} is another payout's"


def _renew(tx: Tx, values: dict[str, Any]) -> bool:
    """What is new of a payout that is here already; False when it is not."""
    renewed = tx.execute(
        """
        UPDATE payouts
        SET status = CASE WHEN status IN ('failed', 'canceled') THEN status ELSE %(status)s END,
            failure_code = coalesce(%(failure_code)s, failure_code),
            balance_transaction_id = coalesce(%(balance)s, balance_transaction_id),
            failure_balance_transaction_id = coalesce(%(failure_balance)s, failure_balance_transaction_id),
            contents_ready = contents_ready OR %(contents_ready)s,
            arrives_at = %(arrives_at)s, seen_at = clock_timestamp()
        WHERE payout_id = %(payout_id)s
        """,
        values,
    )
    return renewed.rowcount == 1


def _as_values(payout: BankPayout) -> dict[str, Any]:
    return {
        "payout_id": payout.payout_id,
        "amount": payout.amount_minor,
        "currency": payout.currency,
        "automatic": payout.automatic,
        "status": payout.status,
        "failure_code": payout.failure_code,
        "balance": payout.balance_transaction_id,
        "failure_balance": payout.failure_balance_transaction_id,
        "contents_ready": payout.contents_ready,
        "created_at": payout.created_at,
        "arrives_at": payout.arrives_at,
    }


def unfinished(tx: Tx, *, payout_id: str | None = None, limit: int = 100) -> list[Payout]:
    """Payouts that are not booked, or that failed and are not reversed, the oldest first.

    The oldest first matters: what a failed payout did not take, the next one contains. `payout_id` narrows to one.
    """
    with tx.cursor(row_factory=class_row(Payout)) as cursor:
        return cursor.execute(
            """
            SELECT payout_id, amount_minor, currency, automatic, status, balance_transaction_id, contents_ready,
                   listed_to, listed_at, booked_at, reversed_at
            FROM payouts
            WHERE (booked_at IS NULL OR (reversed_at IS NULL AND status IN ('failed', 'canceled')))
              AND (automatic OR booked_at IS NULL)
              AND (%(payout_id)s::text IS NULL OR payout_id = %(payout_id)s)
            ORDER BY created_at, payout_id LIMIT %(limit)s
            """,
            {"payout_id": payout_id, "limit": limit},
        ).fetchall()


def contain(tx: Tx, payout_id: str, balance_transaction_ids: Sequence[str]) -> None:
    """Mark one page of a payout's contents, and how far the list was read, so that the next page begins there.

    A line that another payout contains already stays with it. The page must not be empty.
    """
    tx.execute(
        """
        UPDATE bank_lines SET payout_id = %(payout_id)s
        WHERE balance_transaction_id = ANY (%(ids)s) AND payout_id IS NULL
        """,
        {"payout_id": payout_id, "ids": list(balance_transaction_ids)},
    )
    tx.execute(
        "UPDATE payouts SET listed_to = %(last)s WHERE payout_id = %(payout_id)s",
        {"payout_id": payout_id, "last": balance_transaction_ids[-1]},
    )


def mark_listed(tx: Tx, payout_id: str) -> None:
    """The list of contents is complete; the first time stays."""
    tx.execute(
        "UPDATE payouts SET listed_at = clock_timestamp() WHERE payout_id = %(payout_id)s AND listed_at IS NULL",
        {"payout_id": payout_id},
    )


def mark_booked(tx: Tx, payout_id: str) -> None:
    """Every tenant's part is in the ledger; the first time stays.

    Parts are posted before, each in its tenant's
    transaction.
    """
    tx.execute(
        "UPDATE payouts SET booked_at = clock_timestamp() WHERE payout_id = %(payout_id)s AND booked_at IS NULL",
        {"payout_id": payout_id},
    )


def mark_explained(tx: Tx, payout_id: str) -> None:
    """A payout made by hand needs no listing and no booking: mark both as done. An automatic one is not changed."""
    tx.execute(
        """
        UPDATE payouts SET listed_at = clock_timestamp(), booked_at = clock_timestamp()
        WHERE payout_id = %(payout_id)s AND NOT automatic AND booked_at IS NULL
        """,
        {"payout_id": payout_id},
    )


def mark_reversed(tx: Tx, payout_id: str) -> None:
    """The mirror journals of a failed payout are in the ledger; the first time stays."""
    tx.execute(
        "UPDATE payouts SET reversed_at = clock_timestamp() WHERE payout_id = %(payout_id)s AND reversed_at IS NULL",
        {"payout_id": payout_id},
    )


def contained_in(tx: Tx, payout: Payout) -> str | None:
    """The automatic payout whose contents include the line of this one; None when it was not listed in any yet."""
    row = tx.execute(
        "SELECT payout_id FROM bank_lines WHERE balance_transaction_id = %(id)s",
        {"id": payout.balance_transaction_id},
    ).fetchone()
    return row[0] if row else None


@dataclass(frozen=True, slots=True)
class PayoutPart:
    """Of a page of contents: the net of one tenant, in minor units, or of lines that are no tenant's (`tenant_id`
    None).

    `explained` False: nothing in the ledger accounts for these lines, and the payout must not be booked.
    """

    tenant_id: TenantId | None
    explained: bool
    net_minor: int


def parts(tx: Tx, payout: Payout, *, after: str, limit: int) -> tuple[list[PayoutPart], str | None]:
    """Whose a page of the contained lines was, and the last line of the page; None: there were no more.

    A line of one tenant counts as Stripe has it; one of several (a payout that failed) is divided as its journals say.
    The payout's own line is left out. Pages follow the balance transaction's id: pass the last one as `after`, '' at
    first.
    """
    last = tx.execute(
        """
        SELECT max(balance_transaction_id) FROM (
            SELECT balance_transaction_id FROM bank_lines
            WHERE payout_id = %(payout_id)s AND balance_transaction_id > %(after)s
            ORDER BY balance_transaction_id LIMIT %(limit)s) AS page
        """,
        {"payout_id": payout.payout_id, "after": after, "limit": limit},
    ).fetchone()
    assert last is not None, "an aggregate without GROUP BY always returns a row"
    if last[0] is None:
        return [], None
    with tx.cursor(row_factory=class_row(PayoutPart)) as cursor:
        payout_parts = cursor.execute(
            """
            WITH page AS MATERIALIZED (
                SELECT balance_transaction_id, type, source_id, net_minor FROM bank_lines
                WHERE payout_id = %(payout_id)s
                  AND balance_transaction_id > %(after)s AND balance_transaction_id <= %(last)s
                  AND balance_transaction_id IS DISTINCT FROM %(own)s
            ), held AS MATERIALIZED (
                SELECT balance_transaction_id, tenant_id, net_minor,
                       count(*) OVER (PARTITION BY balance_transaction_id) AS owners
                FROM book_lines
                WHERE balance_transaction_id = ANY (ARRAY(SELECT balance_transaction_id FROM page))
                  AND currency = %(currency)s
            )
            SELECT h.tenant_id,
                   h.tenant_id IS NOT NULL OR coalesce(NOT by_hand.automatic, false) AS explained,
                   sum(CASE WHEN h.owners > 1 THEN h.net_minor ELSE p.net_minor END)::bigint AS net_minor
            FROM page p
            LEFT JOIN held h USING (balance_transaction_id)
            LEFT JOIN payouts by_hand ON by_hand.payout_id = p.source_id AND p.type = ANY (%(payouts)s)
            GROUP BY 1, 2
            """,
            {
                "payout_id": payout.payout_id,
                "after": after,
                "last": last[0],
                "own": payout.balance_transaction_id,
                "currency": payout.currency,
                "payouts": list(PAYOUT_TYPES),
            },
        ).fetchall()
    return payout_parts, last[0]


def booked_parts(tx: Tx, payout_id: str) -> list[tuple[TenantId, int]]:
    """What the journals of a payout took from each tenant's balance at Stripe, positive; what its failure is to
    give back.
    """
    rows = tx.execute(
        """
        SELECT e.tenant_id, -sum(e.amount_minor)::bigint
        FROM ledger_journals j
        JOIN ledger_entries e USING (tenant_id, journal_id)
        JOIN ledger_accounts a USING (tenant_id, account_id)
        WHERE j.kind = 'payout' AND j.source_id = %(payout_id)s AND a.code = 'stripe_balance'
        GROUP BY e.tenant_id
        """,
        {"payout_id": payout_id},
    )
    return [(TenantId(row[0]), row[1]) for row in rows]
