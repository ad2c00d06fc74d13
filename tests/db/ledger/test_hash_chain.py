"""The chain over the ledger: every journal gets a link, however late it commits, and every later change shows."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from db.ledger import hash_chain
from db.ledger import journals as ledger
from db.ledger.hash_chain import ChainWalk
from db.ledger.journals import Journal
from db.session import Database, Tx
from db.tenants.tenants import Tenant
from messages.money import Money


def test_every_journal_gets_a_link_once_and_the_chain_holds(db: Database, tenant: Tenant) -> None:
    post(db, tenant, "txn_1", "txn_2", "txn_3")

    assert seal(db) == 3
    assert seal(db) == 0
    post(db, tenant, "txn_4")
    assert seal(db) == 1

    walked = walk(db)
    assert (walked.links, walked.broken) == (4, None)


def test_an_empty_ledger_is_a_whole_chain(db: Database) -> None:
    assert seal(db) == 0
    assert walk(db) == ChainWalk(0, "00" * 32, None)


def test_a_journal_that_commits_late_is_not_skipped(db: Database, tenant: Tenant) -> None:
    post(db, tenant, "txn_first")  # opens the accounts, so that nobody waits for them below
    with db.transaction(tenant.tenant_id) as late:
        book(late, "txn_late")
        post(db, tenant, "txn_early")
        assert seal(db) == 2
        post(db, tenant, "txn_between")
        assert seal(db) == 1

    assert seal(db) == 1
    assert unsealed(db) == 0
    assert walk(db).links == 4


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_batches_go_on_where_the_one_before_ended(db: Database, tenant: Tenant, limit: int) -> None:
    with db.transaction(tenant.tenant_id) as tx:  # one transaction posts more journals than a batch holds
        for number in range(4):
            book(tx, f"txn_a{number}")
    post(db, tenant, "txn_b", "txn_c")

    batches = []
    while unsealed(db):
        batches.append(seal(db, limit))

    assert sum(batches) == 6
    assert max(batches) == min(limit, 6)
    assert walk(db).broken is None


def test_sealers_at_once_make_one_chain(db: Database, tenant: Tenant) -> None:
    post(db, tenant, *(f"txn_{number}" for number in range(20)))

    with ThreadPoolExecutor(4) as pool:
        sealed = [future.result() for future in [pool.submit(seal, db, 7) for _ in range(6)]]

    assert sum(sealed) == 20
    assert (walk(db).links, walk(db).broken) == (20, None)


def test_after_a_restore_into_a_new_cluster_nothing_is_skipped(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    post(db, tenant, "txn_1")
    seal(db)
    owner.execute("UPDATE ledger_horizon SET horizon = '99999999999'")  # the old cluster counted further
    post(db, tenant, "txn_2")

    assert seal(db) == 1


def test_an_edited_entry_is_named_by_its_link(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    sealed_three(db, tenant)

    with owner.transaction():
        owner.execute("ALTER TABLE ledger_entries DISABLE TRIGGER USER")
        owner.execute(
            "UPDATE ledger_entries SET amount_minor = amount_minor * 2 FROM ledger_journals j "
            "WHERE j.journal_id = ledger_entries.journal_id AND j.source_id = 'txn_2'"
        )
        owner.execute("ALTER TABLE ledger_entries ENABLE TRIGGER USER")

    broken = walk(db).broken
    assert broken is not None
    assert (broken.seq, broken.why) == (2, "its journal or an entry of it was changed")
    assert owner.execute("SELECT source_id FROM ledger_journals WHERE journal_id = %s", [broken.journal_id]).fetchone()


def test_an_account_that_was_given_another_meaning_breaks_the_chain(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    sealed_three(db, tenant)

    owner.execute("UPDATE ledger_accounts SET code = 'platform_fees' WHERE code = 'stripe_fees'")

    assert walk(db).broken is not None


def test_a_removed_journal_is_named_by_its_link(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    sealed_three(db, tenant)

    with owner.transaction():
        owner.execute("ALTER TABLE ledger_chain DROP CONSTRAINT ledger_chain_tenant_id_journal_id_fkey")
        for table in ("ledger_entries", "ledger_journals"):
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        one = "(SELECT journal_id FROM ledger_journals WHERE source_id = 'txn_3')"
        owner.execute(f"DELETE FROM ledger_entries WHERE journal_id = {one}")
        owner.execute("DELETE FROM ledger_journals WHERE source_id = 'txn_3'")

    broken = walk(db).broken
    assert broken is not None
    assert (broken.seq, broken.why) == (3, "its journal is gone")


def test_a_removed_link_is_named(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    sealed_three(db, tenant)

    with owner.transaction():
        owner.execute("ALTER TABLE ledger_chain DISABLE TRIGGER USER")
        owner.execute("DELETE FROM ledger_chain WHERE seq = 2")

    broken = walk(db).broken
    assert broken is not None
    assert broken.why == "link 2 was removed"


def test_the_chain_is_append_only_and_nobody_chooses_its_hashes(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    sealed_three(db, tenant)

    with pytest.raises(psycopg.errors.RestrictViolation):
        owner.execute("UPDATE ledger_chain SET hash = previous_hash")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), db.system_transaction() as tx:
        tx.execute("INSERT INTO ledger_chain (seq, hash) VALUES (9, 'x')")


def sealed_three(db: Database, tenant: Tenant) -> None:
    post(db, tenant, "txn_1", "txn_2", "txn_3")
    assert seal(db) == 3
    assert walk(db).broken is None


def post(db: Database, tenant: Tenant, *sources: str) -> None:
    for source in sources:
        with db.transaction(tenant.tenant_id) as tx:
            book(tx, source)


def book(tx: Tx, source: str) -> None:
    assert ledger.post(tx, None, [Journal("stripe_fee", source, ledger.stripe_fee_entries(Money(30, "eur")))])


def seal(db: Database, limit: int = 100) -> int:
    with db.system_transaction() as tx:
        return hash_chain.seal(tx, limit=limit)


def unsealed(db: Database) -> int:
    with db.system_transaction() as tx:
        return hash_chain.unsealed(tx)


def walk(db: Database) -> ChainWalk:
    with db.ops_transaction() as tx:
        return hash_chain.walk(tx, page=2)
