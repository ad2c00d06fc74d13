"""Which chain this is, which key signs on it, and which process may send just now. System transactions.

The lease of a signer is a row: its holder renews it, its generation grows with each new holder, and every write that
takes a nonce names the generation. A process that was suspended for longer than its lease finds another generation, and
stores nothing.
"""

from dataclasses import dataclass

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class ChainIdentity:
    """What identified the chain when it was first connected to; another genesis or code under the same id is another
    chain.
    """

    chain_id: int
    genesis_hash: str
    contract: str
    code_hash: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to take nonces of this signer, until somebody else has a higher generation."""

    chain_id: int
    address: str
    generation: int


class LeaseLostError(Exception):
    """Another process sends for this signer now; nothing was written."""


def meet(tx: Tx, chain: ChainIdentity) -> ChainIdentity:
    """The identity stored for this chain id; at the first call, the one given.

    The caller compares the two, and stops
    (M10).
    """
    tx.execute(
        """
        INSERT INTO chains (chain_id, genesis_hash, contract, code_hash)
        VALUES (%(chain_id)s, %(genesis)s, %(contract)s, %(code)s)
        ON CONFLICT DO NOTHING
        """,
        {
            "chain_id": chain.chain_id,
            "genesis": chain.genesis_hash,
            "contract": chain.contract,
            "code": chain.code_hash,
        },
    )
    chain_identity = known_chain(tx, chain.chain_id)
    assert chain_identity is not None, "it was written a moment ago, or before"
    return chain_identity


def known_chain(tx: Tx, chain_id: int) -> ChainIdentity | None:
    """The stored identity of a chain; None when no process has ever connected to it."""
    with tx.cursor(row_factory=class_row(ChainIdentity)) as cursor:
        return cursor.execute(
            "SELECT chain_id, genesis_hash, contract, code_hash FROM chains WHERE chain_id = %(id)s", {"id": chain_id}
        ).fetchone()


def take_lease(tx: Tx, *, chain_id: int, address: str, holder: str, seconds: float) -> Lease | None:
    """Take the lease, or renew it, for so many seconds; None while another holder's has not ended.

    The generation grows only when the holder changes. `holder` must be unique to the process: a second process of the
    same name would share the lease.
    """
    tx.execute(
        "INSERT INTO signers (chain_id, address) VALUES (%(chain_id)s, %(address)s) ON CONFLICT DO NOTHING",
        {"chain_id": chain_id, "address": address},
    )
    row = tx.execute(
        """
        UPDATE signers
        SET lease_generation = lease_generation + CASE WHEN lease_holder = %(holder)s THEN 0 ELSE 1 END,
            lease_holder = %(holder)s,
            lease_until = clock_timestamp() + make_interval(secs => %(seconds)s)
        WHERE (chain_id, address) = (%(chain_id)s, %(address)s)
          AND (lease_holder IS NULL OR lease_holder = %(holder)s OR lease_until < clock_timestamp())
        RETURNING lease_generation
        """,
        {"chain_id": chain_id, "address": address, "holder": holder, "seconds": seconds},
    ).fetchone()
    return Lease(chain_id, address, row[0]) if row else None


def give_back_lease(tx: Tx, *, chain_id: int, holder: str) -> None:
    """Give back every lease of this holder on the chain, so that the next process need not wait for its end."""
    tx.execute(
        """
        UPDATE signers SET lease_holder = NULL, lease_until = NULL
        WHERE chain_id = %(chain_id)s AND lease_holder = %(holder)s
        """,
        {"chain_id": chain_id, "holder": holder},
    )


def next_nonce(tx: Tx, lease: Lease) -> int:
    """The nonce after the last one taken, unlocked: sign with it, then take_nonce tells whether it was still free."""
    row = tx.execute(
        "SELECT next_nonce FROM signers WHERE (chain_id, address) = (%(chain_id)s, %(address)s)",
        {"chain_id": lease.chain_id, "address": lease.address},
    ).fetchone()
    assert row is not None, "who has a lease has a row"
    nonce: int = row[0]
    return nonce


def take_nonce(tx: Tx, lease: Lease, nonce: int) -> None:
    """Take this nonce, which was signed already; the signer's row stays locked until the transaction ends.

    Raises:
        LeaseLostError: another generation sends now, or has taken this nonce.
    """
    taken = tx.execute(
        """
        UPDATE signers SET next_nonce = %(nonce)s + 1
        WHERE (chain_id, address, lease_generation) = (%(chain_id)s, %(address)s, %(generation)s)
          AND next_nonce <= %(nonce)s
        """,
        {
            "chain_id": lease.chain_id,
            "address": lease.address,
            "generation": lease.generation,
            "nonce": nonce,
        },
    )
    if taken.rowcount != 1:
        raise LeaseLostError(f"generation {lease.generation} of {lease.address} is over")


def still_held(tx: Tx, lease: Lease) -> None:
    """Lock the signer's row, so that nobody takes the lease while this transaction writes.

    Raises:
        LeaseLostError: another generation sends now.
    """
    row = tx.execute(
        """
        SELECT FROM signers
        WHERE (chain_id, address, lease_generation) = (%(chain_id)s, %(address)s, %(generation)s)
        FOR UPDATE
        """,
        {"chain_id": lease.chain_id, "address": lease.address, "generation": lease.generation},
    ).fetchone()
    if row is None:
        raise LeaseLostError(f"generation {lease.generation} of {lease.address} is over")


def wait_for(tx: Tx, signer: str, reason: str) -> bool:
    """Store why nothing is sent just now; True when the reason is new, so that it is logged once.

    The time it began
    stays.
    """
    row = tx.execute(
        """
        INSERT INTO mint_waits AS w (signer, reason) VALUES (%(signer)s, %(reason)s)
        ON CONFLICT (signer) DO UPDATE
        SET since_at = CASE WHEN w.reason = EXCLUDED.reason THEN w.since_at ELSE clock_timestamp() END,
            reason = EXCLUDED.reason, looked_at = clock_timestamp()
        RETURNING since_at = looked_at OR age(looked_at, since_at) < interval '1 millisecond'
        """,
        {"signer": signer, "reason": reason},
    ).fetchone()
    return bool(row and row[0])


def wait_no_more(tx: Tx, signer: str) -> None:
    """Something can be sent again: forget the signer's reason, and that of no signer ('-')."""
    tx.execute("DELETE FROM mint_waits WHERE signer IN (%(signer)s, '-')", {"signer": signer})


def waits(tx: Tx) -> dict[str, str]:
    """Signer -> why it sends nothing; '-' when minting is not configured. Empty when all send."""
    return dict(tx.execute("SELECT signer, reason FROM mint_waits ORDER BY signer").fetchall())
