"""What a test looks up in the book after a handler ran."""

import psycopg


def balances(owner: psycopg.Connection) -> dict[str, int]:
    """Account code -> sum of its entries, over all tenants."""
    rows = owner.execute(
        "SELECT code, sum(amount_minor) "
        "FROM ledger_entries JOIN ledger_accounts USING (tenant_id, account_id) GROUP BY code"
    )
    return {code: int(minor) for code, minor in rows}


def events_told(owner: psycopg.Connection) -> list[str]:
    """Types of the public events that were appended, oldest first."""
    return [row[0] for row in owner.execute("SELECT kind FROM outbox WHERE exchange <> '' ORDER BY id").fetchall()]
