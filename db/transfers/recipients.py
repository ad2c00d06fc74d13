"""Recipients of shares, and the connected accounts to which Stripe pays them.

Venues become recipients by a trigger, artists and others by `fleet tenants import`; only resellers are written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.session import Tx
from db.shares.booking import Owner
from messages.ids import RecipientId, VenueId


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets shares.

    account_id      None: it has none yet, and its shares wait
    settlement      at once, or weekly: then a statement pays it
    minimum_minor   below this, in `currency`, a statement waits for more
    transfers       Stripe's word about the account: unknown, active, pending or inactive
    """

    recipient_id: RecipientId
    kind: str
    venue_id: VenueId | None
    name: str
    account_id: str | None
    settlement: str
    minimum_minor: int
    currency: str
    transfers: str

    @property
    def owner(self) -> Owner:
        return Owner(self.recipient_id, self.venue_id)


def get(tx: Tx, recipient_id: RecipientId) -> Recipient:
    """The recipient of a share, unlocked.

    Raises:
        AssertionError: the tenant has no such recipient.
    """
    with tx.cursor(row_factory=class_row(Recipient)) as cursor:
        recipient = cursor.execute(
            """
            SELECT r.recipient_id, r.kind, r.venue_id, r.name, r.account_id, r.settlement, r.minimum_minor, r.currency,
                   coalesce(a.transfers, 'unknown') AS transfers
            FROM recipients r LEFT JOIN connected_accounts a USING (account_id)
            WHERE r.recipient_id = %(recipient_id)s
            """,
            {"recipient_id": recipient_id},
        ).fetchone()
    assert recipient is not None, "a share names its recipient, by foreign key"
    return recipient


def ensure_sellers(tx: Tx, sellers: Sequence[dict[str, Any]]) -> None:
    """Write the resellers of orders; a known one takes the name and account of today, and keeps its account when none
    is named.

    Each has recipient_id, name, account_id (or None) and currency. A recipient that is no seller is never changed by
    this.
    """
    tx.execute(
        """
        INSERT INTO recipients (tenant_id, recipient_id, kind, name, account_id, currency)
        SELECT DISTINCT ON (recipient_id) current_tenant(), recipient_id, 'seller', name, account_id, currency
        FROM jsonb_to_recordset(%(sellers)s) AS seller (
            recipient_id uuid, name text, account_id text, currency text)
        ORDER BY recipient_id
        ON CONFLICT (tenant_id, recipient_id) DO UPDATE
        SET name = excluded.name, account_id = coalesce(excluded.account_id, recipients.account_id)
        WHERE recipients.kind = 'seller'
          AND (recipients.name, recipients.account_id)
              IS DISTINCT FROM (excluded.name, coalesce(excluded.account_id, recipients.account_id))
        """,
        {"sellers": Jsonb(list(sellers))},
    )
