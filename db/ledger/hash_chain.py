"""The tamper-evident chain over the ledger: one link for each journal with its entries, as in db/operators/log.py.

The database computes each link (migration 0010). Sealing finds journals by the transaction that posted them, never by
"id greater than the last one": the horizon only passes transactions that have ended, so one that commits late is found.
The chain shows that something was changed; that nothing can be is the work of triggers and roles (M4).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx

GENESIS = bytes(32)


def seal(tx: Tx, *, limit: int) -> int:
    """Append up to `limit` journals to the chain; returns how many. Fewer than `limit` means that all visible are in.

    The row of the horizon is locked, so two sealers run one after the other. A database restored into a new cluster
    counts its transactions anew; the horizon then lies in the future, and everything is looked at again.
    """
    tx.execute("SELECT FROM ledger_horizon FOR UPDATE")
    row = tx.execute(
        """
        WITH clock AS MATERIALIZED (
            SELECT pg_snapshot_xmin(pg_current_snapshot()) AS ended,
                   (SELECT CASE WHEN horizon > pg_current_xact_id() THEN '0'::xid8 ELSE horizon END
                    FROM ledger_horizon) AS horizon
        ), unsealed AS MATERIALIZED (
            SELECT j.tenant_id, j.journal_id, j.posted_by
            FROM ledger_journals j
            WHERE j.posted_by >= (SELECT horizon FROM clock)
              AND NOT EXISTS (
                  SELECT FROM ledger_chain c WHERE c.tenant_id = j.tenant_id AND c.journal_id = j.journal_id)
            ORDER BY j.posted_by, j.journal_id
            LIMIT %(limit)s
        ), sealed AS (
            INSERT INTO ledger_chain (tenant_id, journal_id)
            SELECT tenant_id, journal_id FROM unsealed ORDER BY posted_by, journal_id
            RETURNING 1
        ), moved AS (
            UPDATE ledger_horizon SET horizon = CASE
                WHEN (SELECT count(*) FROM unsealed) < %(limit)s THEN (SELECT ended FROM clock)
                ELSE least((SELECT ended FROM clock), (SELECT max(posted_by) FROM unsealed)) END
        )
        SELECT count(*) FROM sealed
        """,
        {"limit": limit},
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row[0])


def unsealed(tx: Tx) -> int:
    """How many journals are in no link yet. Reads every journal: for the checker and a metric, not for a worker."""
    row = tx.execute(
        """
        SELECT count(*) FROM ledger_journals j
        WHERE NOT EXISTS (SELECT FROM ledger_chain c WHERE c.tenant_id = j.tenant_id AND c.journal_id = j.journal_id)
        """
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row[0])


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is stored, and the hash that its journal gives today (None: the journal is gone)."""

    seq: int
    tenant_id: UUID
    journal_id: UUID
    previous_hash: bytes
    hash: bytes
    computed: bytes | None


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """The first place where the chain and the ledger part."""

    seq: int
    tenant_id: UUID
    journal_id: UUID
    why: str


@dataclass(frozen=True, slots=True)
class ChainWalk:
    """A walk to the end of the chain, or to its first broken link. `head` is the last good hash, in hex."""

    links: int
    head: str
    broken: BrokenLink | None


def walk(tx: Tx, *, page: int = 10_000) -> ChainWalk:
    """Compute every link again, `page` at a time, and stop at the first that is broken.

    An entry that was changed, a journal or a link that was removed: each shows. A chain that was cut at its end does
    not; compare `head` with one that was noted elsewhere (`hash_at`).
    """
    seq, head = 0, GENESIS
    for link in _links(tx, page):
        why = _fault(link, seq, head)
        if why is not None:
            return ChainWalk(seq, head.hex(), BrokenLink(link.seq, link.tenant_id, link.journal_id, why))
        seq, head = link.seq, link.hash
    return ChainWalk(seq, head.hex(), None)


def _links(tx: Tx, page: int) -> Iterator[Link]:
    after = 0
    while True:
        # Binary, because three of the columns are hashes, and every journal there ever was is read.
        with tx.cursor(row_factory=class_row(Link), binary=True) as cursor:
            links = cursor.execute(
                """
                SELECT seq, tenant_id, journal_id, previous_hash, hash,
                       chain_hash(previous_hash, ledger_journal_content(seq, tenant_id, journal_id)) AS computed
                FROM ledger_chain WHERE seq > %(after)s ORDER BY seq LIMIT %(page)s
                """,
                {"after": after, "page": page},
            ).fetchall()
        yield from links
        if len(links) < page:
            return
        after = links[-1].seq


def _fault(link: Link, seq: int, head: bytes) -> str | None:
    if link.seq != seq + 1:
        return f"link {seq + 1} was removed"
    if link.previous_hash != head:
        return "the link before it was changed"
    if link.computed is None:
        return "its journal is gone"
    return None if link.computed == link.hash else "its journal or an entry of it was changed"


def hash_at(tx: Tx, seq: int) -> str | None:
    """The stored hash of one link, in hex; None when there is no such link.

    Compare it with a head that was noted
    elsewhere.
    """
    row = tx.execute("SELECT hash FROM ledger_chain WHERE seq = %(seq)s", {"seq": seq}).fetchone()
    return bytes(row[0]).hex() if row else None
