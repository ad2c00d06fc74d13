"""Nonces and attempts: one nonce of a signer, what it does, and each signed version of it.

Tables `slots` and `attempts`.

A nonce and its first attempt are written before anything is sent, in the transaction that takes the nonce: whatever
crashes afterwards, the same bytes are sent again. Needs a system transaction that holds the signer's lease
(signers.take_nonce or still_held), except to read.
"""

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.minting.signers import Lease
from db.session import Tx


@dataclass(frozen=True, slots=True)
class ContractCall:
    """What a transaction does: `kind` is mint, void, royalty or fill (a transaction that only uses a nonce up).

    `to` is the contract's address, `data` the encoded call, `gas` the limit.
    """

    kind: str
    to: str
    data: bytes
    gas: int


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """One version of a transaction, ready to be sent: `raw` are the signed bytes.

    Fees are in wei for one unit of
    gas.
    """

    tx_hash: str
    raw: bytes
    max_fee_wei: int
    tip_wei: int


@dataclass(frozen=True, slots=True)
class Nonce:
    """A nonce of a signer as it is now. The block is None while it is open, and when it is lost.

    `made_seconds_ago` is its age by the database's clock.
    """

    slot_id: UUID
    nonce: int
    kind: str
    to_address: str
    data: bytes
    gas: int
    state: str
    mined_hash: str | None
    block_number: int | None
    block_hash: str | None
    made_seconds_ago: float


@dataclass(frozen=True, slots=True)
class TransactionAttempt:
    """A signed version of a nonce's transaction. `number` counts from 1; only one version can ever be mined.

    `sent_seconds_ago` None: never sent, or to be sent again at once.
    """

    tx_hash: str
    slot_id: UUID
    number: int
    raw: bytes
    max_fee_wei: int
    tip_wei: int
    made_seconds_ago: float
    sent_seconds_ago: float | None


def record(tx: Tx, lease: Lease, nonce: int, call: ContractCall, signed: SignedTransaction) -> UUID:
    """Write a nonce with its first attempt; returns its slot id. Call signers.take_nonce in the same transaction.

    Raises:
        psycopg.errors.UniqueViolation: the signer's nonce is taken.
    """
    row = tx.execute(
        """
        INSERT INTO slots (chain_id, signer, nonce, kind, to_address, data, gas, generation)
        VALUES (%(chain_id)s, %(signer)s, %(nonce)s, %(kind)s, %(to)s, %(data)s, %(gas)s, %(generation)s)
        RETURNING slot_id
        """,
        {
            "chain_id": lease.chain_id,
            "signer": lease.address,
            "nonce": nonce,
            "kind": call.kind,
            "to": call.to,
            "data": call.data,
            "gas": call.gas,
            "generation": lease.generation,
        },
    ).fetchone()
    assert row is not None, "an INSERT with RETURNING returns its row"
    slot_id: UUID = row[0]
    add_attempt(tx, slot_id, signed)
    return slot_id


def add_attempt(tx: Tx, slot_id: UUID, signed: SignedTransaction) -> None:
    """Another signed version for the same nonce, with other fees, under the next number.

    Older versions may still be
    mined.
    """
    tx.execute(
        """
        INSERT INTO attempts (tx_hash, slot_id, number, raw, max_fee_wei, tip_wei)
        SELECT %(hash)s, %(slot_id)s, coalesce(max(number), 0) + 1, %(raw)s, %(max_fee)s, %(tip)s
        FROM attempts WHERE slot_id = %(slot_id)s
        """,
        {
            "hash": signed.tx_hash,
            "slot_id": slot_id,
            "raw": signed.raw,
            "max_fee": signed.max_fee_wei,
            "tip": signed.tip_wei,
        },
    )


def note_sent(tx: Tx, tx_hash: str) -> None:
    """This version was sent now.

    Written after the sending: one that was sent and not noted is sent again, which is
    harmless.
    """
    tx.execute(
        "UPDATE attempts SET last_sent_at = clock_timestamp(), sends = sends + 1 WHERE tx_hash = %(hash)s",
        {"hash": tx_hash},
    )


def unsettled(tx: Tx, lease: Lease, *, deeper_than_block: int) -> list[Nonce]:
    """Nonces that are open or mined, and those settled in this block or later, which may still be reorganised; by
    nonce.
    """
    with tx.cursor(row_factory=class_row(Nonce)) as cursor:
        return cursor.execute(
            """
            SELECT slot_id, nonce, kind, to_address, data, gas, state, mined_hash, block_number, block_hash,
                   extract(epoch FROM clock_timestamp() - made_at)::float8 AS made_seconds_ago
            FROM slots
            WHERE (chain_id, signer) = (%(chain_id)s, %(signer)s)
              AND (state IN ('open', 'mined') OR state IN ('final', 'reverted') AND block_number >= %(block)s)
            ORDER BY nonce
            """,
            {"chain_id": lease.chain_id, "signer": lease.address, "block": deeper_than_block},
        ).fetchall()


def at_nonce(tx: Tx, lease: Lease, nonce: int) -> Nonce | None:
    """The row of this nonce; None when we never took it: then another program signs with this key."""
    with tx.cursor(row_factory=class_row(Nonce)) as cursor:
        return cursor.execute(
            """
            SELECT slot_id, nonce, kind, to_address, data, gas, state, mined_hash, block_number, block_hash,
                   extract(epoch FROM clock_timestamp() - made_at)::float8 AS made_seconds_ago
            FROM slots
            WHERE (chain_id, signer, nonce) = (%(chain_id)s, %(signer)s, %(nonce)s)
            """,
            {"chain_id": lease.chain_id, "signer": lease.address, "nonce": nonce},
        ).fetchone()


def attempts_of(tx: Tx, slot_ids: list[UUID]) -> dict[UUID, list[TransactionAttempt]]:
    """The attempts of each slot, the youngest last; a slot without any has an empty list."""
    found: dict[UUID, list[TransactionAttempt]] = {slot_id: [] for slot_id in slot_ids}
    with tx.cursor(row_factory=class_row(TransactionAttempt)) as cursor:
        rows = cursor.execute(
            """
            SELECT tx_hash, slot_id, number, raw, max_fee_wei, tip_wei,
                   extract(epoch FROM clock_timestamp() - made_at)::float8 AS made_seconds_ago,
                   extract(epoch FROM clock_timestamp() - last_sent_at)::float8 AS sent_seconds_ago
            FROM attempts
            WHERE slot_id = ANY (%(slot_ids)s)
            ORDER BY slot_id, number
            """,
            {"slot_ids": slot_ids},
        )
        for attempt in rows:
            found[attempt.slot_id].append(attempt)
    return found


def count_open(tx: Tx, lease: Lease) -> int:
    """How many of our transactions wait to be mined."""
    row = tx.execute(
        "SELECT count(*) FROM slots WHERE (chain_id, signer) = (%(chain_id)s, %(signer)s) AND state = 'open'",
        {"chain_id": lease.chain_id, "signer": lease.address},
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    count: int = row[0]
    return count


def is_under_way(tx: Tx, lease: Lease, data: bytes) -> bool:
    """True when an open transaction with the same data exists: sending it again would do the same thing twice."""
    row = tx.execute(
        """
        SELECT FROM slots
        WHERE (chain_id, signer) = (%(chain_id)s, %(signer)s) AND state = 'open' AND data = %(data)s
        """,
        {"chain_id": lease.chain_id, "signer": lease.address, "data": data},
    ).fetchone()
    return row is not None


def mark_included(tx: Tx, slot: Nonce, *, reverted: bool, tx_hash: str, block: tuple[int, str], gas_used: int) -> bool:
    """open -> mined | reverted, in this block (number, hash); False when it was not open."""
    return (
        tx.execute(
            """
            UPDATE slots
            SET state = %(state)s, mined_hash = %(hash)s, block_number = %(number)s, block_hash = %(block)s,
                gas_used = %(gas)s
            WHERE slot_id = %(slot_id)s AND state = 'open'
            """,
            {
                "slot_id": slot.slot_id,
                "state": "reverted" if reverted else "mined",
                "hash": tx_hash,
                "number": block[0],
                "block": block[1],
                "gas": gas_used,
            },
        ).rowcount
        == 1
    )


def reopen(tx: Tx, slot_id: UUID) -> bool:
    """Back to open, because its block left the chain, or the transaction that took its nonce did; it is due to be sent
    at once.

    False when it was open. Nodes differ: geth takes transactions of such a block back into its pool, others forget
    them.
    """
    reopened = tx.execute(
        """
        UPDATE slots
        SET state = 'open', mined_hash = NULL, block_number = NULL, block_hash = NULL, gas_used = NULL
        WHERE slot_id = %(slot_id)s AND state IN ('mined', 'final', 'reverted', 'lost')
        """,
        {"slot_id": slot_id},
    )
    if reopened.rowcount:
        tx.execute("UPDATE attempts SET last_sent_at = NULL WHERE slot_id = %(slot_id)s", {"slot_id": slot_id})
    return reopened.rowcount == 1


def mark_final(tx: Tx, slot_id: UUID) -> bool:
    """mined -> final: too deep to be reorganised; False when it was not mined.

    A deeper reorganisation still reopens
    it.
    """
    return (
        tx.execute(
            "UPDATE slots SET state = 'final' WHERE slot_id = %(slot_id)s AND state = 'mined'", {"slot_id": slot_id}
        ).rowcount
        == 1
    )


def mark_lost(tx: Tx, slot_id: UUID) -> bool:
    """open -> lost: the chain has a transaction at this nonce that is none of our attempts; False when it was
    not open.
    """
    return (
        tx.execute(
            "UPDATE slots SET state = 'lost' WHERE slot_id = %(slot_id)s AND state = 'open'", {"slot_id": slot_id}
        ).rowcount
        == 1
    )
