"""What the minter reads and moves of mints.

One transaction of the chain carries tickets of many tenants, so all of this needs a system transaction, with the
signer's lease held (signers.still_held) where it writes. As with payments, a move names the states it leaves, and what
it returns are the rows that it moved.
"""

from collections.abc import Sequence
from uuid import UUID

from psycopg.rows import class_row

from db.lifecycle import leading_to
from db.minting.mints import COLUMNS, Mint
from db.minting.states import MINT_MOVES, MintState
from db.session import Tx

# After so many transactions that came to nothing a person must look.
MOST_TRIES = 5


def adopt_wallets(tx: Tx) -> int:
    """Give queued tickets without a wallet the custodial one that their venue has by now; returns how many."""
    return tx.execute(
        """
        UPDATE mints m SET to_address = s.custodial_wallet
        FROM mint_settings s
        WHERE (s.tenant_id, s.venue_id) = (m.tenant_id, m.venue_id)
          AND m.state = 'queued' AND m.to_address IS NULL AND s.custodial_wallet IS NOT NULL
        """
    ).rowcount


def ready(tx: Tx, *, limit: int) -> list[Mint]:
    """The oldest mints that may be sent: they have a wallet, and the royalty on chain is the wanted one.

    Not locked: `begin` decides.

    One that failed on the chain before goes alone, after all others, so that it cannot make a whole batch fail again.
    """
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        mints = cursor.execute(
            "SELECT "
            + COLUMNS
            + """
            FROM mints m JOIN series s USING (tenant_id, event_id)
            WHERE m.state = 'queued' AND m.to_address IS NOT NULL AND m.void_wanted_at IS NULL
              AND s.read_at IS NOT NULL
              AND (s.wanted_receiver, s.wanted_basis_points) IS NOT DISTINCT FROM (s.set_receiver, s.set_basis_points)
            ORDER BY m.tries > 0, m.created_at
            LIMIT %(limit)s
            """,
            {"limit": limit},
        ).fetchall()
    fresh = [mint for mint in mints if not mint.tries]
    return fresh or mints[:1]


def to_void(tx: Tx, *, limit: int) -> list[Mint]:
    """Confirmed tokens of refunded tickets, the longest wanted first.

    One that is still on its way follows when
    confirmed.
    """
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        return cursor.execute(
            "SELECT "
            + COLUMNS
            + """
            FROM mints m WHERE m.state = 'confirmed' AND m.void_wanted_at IS NOT NULL
            ORDER BY m.void_wanted_at
            LIMIT %(limit)s
            """,
            {"limit": limit},
        ).fetchall()


def begin(tx: Tx, mints: Sequence[Mint], slot_id: UUID, *, by: str) -> int:
    """queued -> submitted in this slot; returns how many. Fewer than given: one was refunded meanwhile; roll back."""
    return tx.execute(
        """
        UPDATE mints m
        SET state = 'submitted', state_reason = NULL, state_by = %(by)s, slot_id = %(slot_id)s
        FROM unnest(%(tokens)s::text[]) AS wanted (token_id)
        WHERE m.token_id = wanted.token_id AND m.state = 'queued'
        """,
        {"tokens": [mint.token_id for mint in mints], "slot_id": slot_id, "by": by},
    ).rowcount


def begin_voiding(tx: Tx, mints: Sequence[Mint], slot_id: UUID, *, by: str) -> int:
    """confirmed -> voiding in this slot; returns how many.

    Fewer than given: another transaction voids one; roll
    back.
    """
    return tx.execute(
        """
        UPDATE mints m
        SET state = 'voiding', state_reason = 'refunded', state_by = %(by)s, void_slot_id = %(slot_id)s
        FROM unnest(%(tokens)s::text[]) AS wanted (token_id)
        WHERE m.token_id = wanted.token_id AND m.state = 'confirmed'
        """,
        {"tokens": [mint.token_id for mint in mints], "slot_id": slot_id, "by": by},
    ).rowcount


def of_slot(tx: Tx, slot_id: UUID) -> list[Mint]:
    """The mints, or the voidings, that a slot carries now."""
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        return cursor.execute(
            "SELECT "
            + COLUMNS
            + " FROM mints m WHERE m.slot_id = %(slot_id)s OR m.void_slot_id = %(slot_id)s ORDER BY m.token_id",
            {"slot_id": slot_id},
        ).fetchall()


def move(tx: Tx, token_ids: Sequence[str], state: MintState, *, by: str, reason: str | None = None) -> list[Mint]:
    """Move these to `state`, from wherever the table of moves allows it; returns those that moved."""
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        return cursor.execute(
            """
            UPDATE mints m SET state = %(state)s, state_reason = %(reason)s, state_by = %(by)s
            WHERE m.token_id = ANY (%(tokens)s) AND m.state = ANY (%(leaving)s)
            RETURNING """
            + COLUMNS,
            {
                "tokens": list(token_ids),
                "state": state.value,
                "reason": reason,
                "by": by,
                "leaving": leading_to(MINT_MOVES, state),
            },
        ).fetchall()


def come_back(tx: Tx, slot_id: UUID, *, reason: str, spent_a_try: bool, by: str) -> list[Mint]:
    """Undo what a slot carried: mints are queued again, or failed after too many tries, voidings are confirmed again.

    `spent_a_try` when the chain refused it, not when it only got lost. A mint whose ticket was refunded meanwhile
    becomes canceled instead of queued. Returns the mints that failed: a person must be told about each.
    """
    tx.execute(
        """
        UPDATE mints SET state = 'confirmed', state_reason = %(reason)s, state_by = %(by)s
        WHERE void_slot_id = %(slot_id)s AND state = 'voiding'
        """,
        {"slot_id": slot_id, "reason": reason, "by": by},
    )
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        moved = cursor.execute(
            """
            UPDATE mints m
            SET tries = tries + %(spent)s, state_reason = %(reason)s, state_by = %(by)s,
                state = CASE WHEN tries + %(spent)s >= %(most)s THEN 'failed' ELSE 'queued' END
            WHERE slot_id = %(slot_id)s AND state = 'submitted'
            RETURNING """
            + COLUMNS,
            {"slot_id": slot_id, "reason": reason, "by": by, "spent": int(spent_a_try), "most": MOST_TRIES},
        ).fetchall()
    tx.execute(
        """
        UPDATE mints SET state = 'canceled', state_reason = 'refunded', state_by = %(by)s
        WHERE slot_id = %(slot_id)s AND state IN ('queued', 'failed') AND void_wanted_at IS NOT NULL
        """,
        {"slot_id": slot_id, "by": by},
    )
    return [mint for mint in moved if mint.state is MintState.FAILED]


def spend_try(tx: Tx, mint: Mint, *, reason: str, by: str) -> list[Mint]:
    """Count a try of a queued mint that cannot be sent as it is; returns it when that was its last try, and it
    failed.
    """
    with tx.cursor(row_factory=class_row(Mint)) as cursor:
        moved = cursor.execute(
            """
            UPDATE mints m
            SET tries = tries + 1, state_reason = %(reason)s, state_by = %(by)s,
                state = CASE WHEN tries + 1 >= %(most)s THEN 'failed' ELSE 'queued' END
            WHERE token_id = %(token)s AND state = 'queued'
            RETURNING """
            + COLUMNS,
            {"token": mint.token_id, "reason": reason, "by": by, "most": MOST_TRIES},
        ).fetchall()
    return [each for each in moved if each.state is MintState.FAILED]


def first_told(tx: Tx, token_ids: Sequence[str]) -> set[str]:
    """The tokens of these whose minting was not published yet; they count as published from now on.

    Append their events in the same transaction. A token that is mined again after a reorganisation is not published
    twice.
    """
    rows = tx.execute(
        """
        UPDATE mints SET told_at = clock_timestamp()
        WHERE token_id = ANY (%(tokens)s) AND told_at IS NULL
        RETURNING token_id
        """,
        {"tokens": list(token_ids)},
    ).fetchall()
    return {row[0] for row in rows}


def waiting(tx: Tx) -> dict[str, int]:
    """State -> how many mints, of those that are not at an end.

    Finished mints are not even read, however many they are: those on their way are found through their transaction,
    which is open or mined for just as long.
    """
    rows = tx.execute(
        """
        SELECT state, count(*) FROM mints WHERE state = 'queued' GROUP BY state
        UNION ALL SELECT state, count(*) FROM mints WHERE state = 'failed' GROUP BY state
        UNION ALL SELECT m.state, count(*) FROM slots s JOIN mints m ON m.slot_id = s.slot_id
                  WHERE s.state IN ('open', 'mined') AND m.state IN ('submitted', 'mined') GROUP BY m.state
        UNION ALL SELECT m.state, count(*) FROM slots s JOIN mints m ON m.void_slot_id = s.slot_id
                  WHERE s.state IN ('open', 'mined') AND m.state = 'voiding' GROUP BY m.state
        """
    ).fetchall()
    return dict(rows)
