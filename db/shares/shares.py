"""Shares: what each recipient is to get of a payment, frozen when it succeeded, and how much of it is still open.

A share is owed `amount - returned - borne`. What reached its recipient is the sum of the lines of transfers that were
made or are under way, less what was reversed, became a receivable instead, or returned as the application fee of a
destination charge. The gap between the two is what workers/shares/share.py closes, one transfer or reversal at a time.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.lifecycle import leading_to
from db.session import Tx
from db.shares.booking import Owner
from db.shares.states import SHARE_MOVES, ShareState
from messages.ids import OrderId, PaymentId, RecipientId, ShareId, TenantId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class NewShare:
    """One part as it is frozen. `state` is held in escrow, settled when the amount is zero, otherwise released."""

    recipient_id: UUID
    basis: str
    basis_points: int | None
    amount: Money
    state: ShareState


@dataclass(frozen=True, slots=True)
class SplitTerms:
    """What a payment is split by.

    `released_because` None: escrow holds it; `escrow_days` None: no event is waited
    for.
    """

    sale: str
    mode: str
    event_id: UUID
    escrow_days: int | None
    released_because: str | None


@dataclass(frozen=True, slots=True)
class NewShareState:
    """A share that was just written; `payable` when its recipient has an account, so that it can be paid without
    waiting.
    """

    share_id: ShareId
    owner: Owner
    amount: Money
    payable: bool


def freeze(
    tx: Tx, payment_id: PaymentId, shares: Sequence[NewShare], terms: SplitTerms, *, by: str
) -> list[NewShareState]:
    """Write the split of a payment; a UniqueViolation: it is split already.

    At commit, shares must add up to it
    (M12).
    """
    rows = tx.execute(
        """
        WITH cut AS (
            INSERT INTO distributions (
                tenant_id, payment_id, mode, sale, event_id, amount_minor, currency, escrow_days,
                released_at, released_by, release_reason)
            SELECT current_tenant(), %(payment_id)s, %(mode)s, %(sale)s, %(event_id)s, sum(amount_minor),
                   min(currency), %(escrow_days)s,
                   CASE WHEN %(released_because)s::text IS NOT NULL THEN clock_timestamp() END,
                   CASE WHEN %(released_because)s::text IS NOT NULL THEN %(by)s END, %(released_because)s
            FROM jsonb_to_recordset(%(shares)s) AS s (amount_minor bigint, currency text)
        ), written AS (
            INSERT INTO shares (
                tenant_id, payment_id, recipient_id, basis, basis_points, amount_minor, currency, state, state_by)
            SELECT current_tenant(), %(payment_id)s, recipient_id, basis, basis_points, amount_minor, currency, state,
                   %(by)s
            FROM jsonb_to_recordset(%(shares)s) AS s (
                recipient_id uuid, basis text, basis_points integer, amount_minor bigint, currency text, state text)
            RETURNING share_id, recipient_id, amount_minor, currency
        )
        SELECT w.share_id, w.recipient_id, r.venue_id, w.amount_minor, w.currency, r.account_id IS NOT NULL
        FROM written w JOIN recipients r ON r.recipient_id = w.recipient_id
        ORDER BY w.share_id
        """,
        asdict(terms) | {"payment_id": payment_id, "by": by, "shares": Jsonb([_as_row(share) for share in shares])},
    ).fetchall()
    return [
        NewShareState(
            ShareId(share_id), Owner(RecipientId(whose), VenueId(venue) if venue else None), Money(*amount), payable
        )
        for share_id, whose, venue, *amount, payable in rows
    ]


def _as_row(share: NewShare) -> dict[str, str | int | None]:
    return {
        "recipient_id": str(share.recipient_id),
        "basis": share.basis,
        "basis_points": share.basis_points,
        "amount_minor": share.amount.minor,
        "currency": share.amount.currency,
        "state": share.state.value,
    }


@dataclass(frozen=True, slots=True)
class Share:
    """A share inside one transaction, in minor units of `currency`.

    waits_for       what keeps a released share from its transfer; None: nothing that is known
    reached_minor   what has reached its recipient; what is under way counts as if it had arrived already
    moving          a transfer or reversal of it is under way: start no second one
    """

    tenant_id: TenantId
    share_id: ShareId
    payment_id: PaymentId
    order_id: OrderId
    recipient_id: RecipientId
    venue_id: VenueId | None
    basis: str
    basis_points: int | None
    amount_minor: int
    returned_minor: int
    borne_minor: int
    currency: str
    state: ShareState
    waits_for: str | None
    mode: str
    released: bool
    reached_minor: int
    moving: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", ShareState(self.state))

    @property
    def owner(self) -> Owner:
        return Owner(self.recipient_id, self.venue_id)

    @property
    def left_minor(self) -> int:
        """What refunds and losses have not taken back yet."""
        return self.amount_minor - self.returned_minor

    @property
    def gap(self) -> Money:
        """Positive: still to be paid. Negative: to be taken back."""
        return Money(self.amount_minor - self.returned_minor - self.borne_minor - self.reached_minor, self.currency)


_SELECT = """
    SELECT
        s.tenant_id, s.share_id, s.payment_id, p.order_id, s.recipient_id, r.venue_id, s.basis, s.basis_points,
        s.amount_minor, s.returned_minor, s.borne_minor, s.currency, s.state, s.waits_for,
        d.mode, d.released_at IS NOT NULL AS released,
        (coalesce((SELECT sum(l.amount_minor)
                   FROM transfer_lines l JOIN transfers t USING (tenant_id, transfer_id)
                   WHERE l.share_id = s.share_id AND t.state IN ('requested', 'sending', 'paid')), 0)
         - coalesce((SELECT sum(v.amount_minor) FROM transfer_reversals v
                     WHERE v.share_id = s.share_id AND v.state <> 'short'), 0)
         - coalesce((SELECT sum(o.amount_minor) FROM share_receivables o WHERE o.share_id = s.share_id), 0)
         - coalesce((SELECT sum(f.amount_minor - f.refunded_minor) FROM application_fees f
                     WHERE f.share_id = s.share_id), 0)
        )::bigint AS reached_minor,
        (EXISTS (SELECT FROM transfer_lines l JOIN transfers t USING (tenant_id, transfer_id)
                 WHERE l.share_id = s.share_id AND t.state IN ('requested', 'sending'))
         OR EXISTS (SELECT FROM transfer_reversals v
                    WHERE v.share_id = s.share_id AND v.state IN ('requested', 'sending'))) AS moving
    FROM shares s
    JOIN payments p ON (p.tenant_id, p.payment_id) = (s.tenant_id, s.payment_id)
    JOIN distributions d ON (d.tenant_id, d.payment_id) = (s.tenant_id, s.payment_id)
    JOIN recipients r ON (r.tenant_id, r.recipient_id) = (s.tenant_id, s.recipient_id)
"""


def lock(tx: Tx, share_id: ShareId) -> Share | None:
    """The share, locked, and measured after the locks were had; None when the tenant has no such share.

    Its recipient is locked first: shares of one recipient are settled one after the other, so that what it owes is
    netted once (NO KEY: a settlement that holds shares may still write what refers to the recipient, or the two would
    wait for one another). Three statements: one would measure by the moment at which it began, before it waited.
    """
    tx.execute(
        """
        SELECT FROM recipients
        WHERE recipient_id = (SELECT recipient_id FROM shares WHERE share_id = %(id)s)
        FOR NO KEY UPDATE
        """,
        {"id": share_id},
    )
    tx.execute("SELECT FROM shares WHERE share_id = %(id)s FOR UPDATE", {"id": share_id})
    with tx.cursor(row_factory=class_row(Share)) as cursor:
        return cursor.execute(_SELECT + "WHERE s.share_id = %(id)s", {"id": share_id}).fetchone()


def of_payment(tx: Tx, payment_id: PaymentId, *, locked: bool = False) -> list[Share]:
    """Every share of a payment, by the recipients' ids, the seller last.

    `locked`: by share id, before they are
    measured.
    """
    if locked:
        tx.execute("SELECT FROM shares WHERE payment_id = %(id)s ORDER BY share_id FOR UPDATE", {"id": payment_id})
    with tx.cursor(row_factory=class_row(Share)) as cursor:
        return cursor.execute(
            _SELECT + "WHERE s.payment_id = %(id)s ORDER BY s.basis <> 'royalty', s.recipient_id", {"id": payment_id}
        ).fetchall()


def move(tx: Tx, share: Share, state: ShareState, *, by: str, reason: str | None = None) -> bool:
    """True when this call made the move, from wherever the table of moves allows; `waits_for` is cleared."""
    moved = tx.execute(
        """
        UPDATE shares
        SET state = %(state)s, state_reason = %(reason)s, state_by = %(by)s, waits_for = NULL,
            looked_at = clock_timestamp()
        WHERE share_id = %(share_id)s AND state || '' = ANY (%(leaving)s)
        """,
        {
            "share_id": share.share_id,
            "state": state.value,
            "reason": reason,
            "by": by,
            "leaving": leading_to(SHARE_MOVES, state),
        },
    )
    return moved.rowcount == 1


def look(tx: Tx, share_id: ShareId, *, waits_for: str | None) -> None:
    """Note that a share was looked at now, and what it waits for (None: nothing, it is on its way).

    The sweep goes by
    both.
    """
    tx.execute(
        "UPDATE shares SET waits_for = %(waits_for)s, looked_at = clock_timestamp() WHERE share_id = %(share_id)s",
        {"share_id": share_id, "waits_for": waits_for},
    )


def owe(tx: Tx, share_id: ShareId, amount: Money, *, reason: str) -> UUID:
    """Write that `amount` of a share could not be taken back and is owed to us; returns its id. Twice is two debts."""
    row = tx.execute(
        """
        INSERT INTO share_receivables (tenant_id, share_id, amount_minor, currency, reason)
        VALUES (current_tenant(), %(share_id)s, %(amount)s, %(currency)s, %(reason)s)
        RETURNING receivable_id
        """,
        {"share_id": share_id, "amount": amount.minor, "currency": amount.currency, "reason": reason},
    ).fetchone()
    assert row is not None, "an INSERT returns its row"
    return UUID(str(row[0]))


@dataclass(frozen=True, slots=True)
class Obstacles:
    """What may stand between a released share and its transfer. `charge_id` None: there is no charge yet.

    balance_currency       the currency it settled in; None: Stripe has not booked it
    left_of_charge_minor   what transfers may still draw on the charge (source_transaction); reversals do not refill it
    """

    open_dispute: bool
    open_refund: bool
    charge_id: str | None
    left_of_charge_minor: int
    balance_currency: str | None


def obstacles(tx: Tx, payment_id: PaymentId) -> Obstacles:
    with tx.cursor(row_factory=class_row(Obstacles)) as cursor:
        found = cursor.execute(
            """
            SELECT EXISTS (SELECT FROM disputes d WHERE d.payment_id = p.payment_id
                           AND d.status NOT IN ('won', 'lost', 'warning_closed', 'prevented')) AS open_dispute,
                   EXISTS (SELECT FROM refunds f WHERE f.payment_id = p.payment_id
                           AND (f.state IN ('requested', 'sending', 'pending', 'requires_action')
                                OR f.state = 'succeeded' AND f.balance_transaction_id IS NULL)) AS open_refund,
                   c.charge_id, c.balance_currency,
                   (coalesce(c.amount_minor, 0) - (
                       SELECT coalesce(sum(t.amount_minor), 0) FROM transfers t
                       WHERE t.payment_id = p.payment_id AND t.charge_id = c.charge_id
                         AND t.state IN ('requested', 'sending', 'paid')))::bigint AS left_of_charge_minor
            FROM payments p LEFT JOIN charges c ON (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
            WHERE p.payment_id = %(id)s
            """,
            {"id": payment_id},
        ).fetchone()
    assert found is not None, "a share has its payment, by foreign key"
    return found
