"""seal_ledger: one run seals everything that is there, in as many batches as it takes."""

from datetime import UTC, datetime

import psycopg
import pytest

from db.ledger import hash_chain
from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.session import Database
from db.tenants.tenants import Tenant
from messages.money import Money
from messages.reconciliation import SealDue
from workers.ledger import seal as ledger_seal
from workers.ledger.seal import seal_ledger


def test_one_run_seals_all_journals_batch_by_batch(
    db: Database, tenant: Tenant, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_seal, "BATCH", 3)
    with db.transaction(tenant.tenant_id) as tx:
        for number in range(10):
            entries = ledger.stripe_fee_entries(Money(30, "eur"))
            ledger.post(tx, None, [Journal("stripe_fee", f"txn_{number}", entries)])

    for _ in range(2):
        seal_ledger(SealDue(due_at=datetime.now(UTC)), db)

    with db.ops_transaction() as tx:
        assert (hash_chain.walk(tx).links, hash_chain.unsealed(tx)) == (10, 0)
