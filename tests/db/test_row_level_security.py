"""A tenant reads and writes its own rows only (M8). The tables are computed, so that a forgotten one is named."""

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from db.session import Database, Tx
from db.settings import DatabaseSettings
from db.tenants.tenants import Tenant
from tests import factories
from tests.conftest import Book
from tests.db.leaving import leave_a_row_everywhere, leave_settings
from tests.db.test_logins import MAY_BECOME

MONEY = (
    "orders", "payments", "payment_history", "calls", "payment_attempts", "charges", "ledger_accounts",
    "ledger_journals", "ledger_entries", "refunds", "refund_history", "refund_tickets", "dispute_history",
    "dispute_movements", "early_fraud_warnings", "groups", "group_members", "group_tickets", "group_attempts",
    "group_history", "group_member_history", "purchase_limits",
)  # fmt: skip
ROLES = ("fleet", "fleet_tenant", "fleet_system", "fleet_ops")
LOGINS = {"fleet", *MAY_BECOME}
# A row copied from another tenant must fail because of whose it is, not because of the state it is in.
AS_NEW = {
    "payments": {"state": "requested", "history_seq": 1},
    "refunds": {"state": "requested", "history_seq": 1},
    "disputes": {"history_seq": 1},
    "mints": {"state": "queued", "history_seq": 1},
    "groups": {"state": "open", "history_seq": 1},
    "group_members": {"state": "invited", "history_seq": 1, "payment_id": None},
    "transfers": {"state": "requested"},
    "transfer_reversals": {"state": "requested"},
}


@pytest.fixture
def neighbour(db: Database, owner: psycopg.Connection, tenant: Tenant) -> Tenant:
    """Another tenant; both have rows in every table."""
    other = factories.tenant(owner)
    for each in (tenant, other):
        leave_a_row_everywhere(db, each)
        leave_settings(owner, each)
    return other


def test_every_table_with_a_tenant_has_row_level_security_or_is_closed_to_tenants(owner: psycopg.Connection) -> None:
    without = owner.execute(
        "SELECT relname FROM pg_class WHERE relname = ANY (%s) AND relkind IN ('r', 'p') AND NOT relrowsecurity",
        [tables_with_a_tenant(owner)],
    ).fetchall()

    assert [table for (table,) in without if table in tenant_tables(owner)] == []


def test_a_tenant_sees_its_own_rows_and_no_others_in_every_table(
    db: Database, owner: psycopg.Connection, tenant: Tenant, neighbour: Tenant
) -> None:
    tables = tenant_tables(owner)

    with db.transaction(tenant.tenant_id) as tx:
        seen = {table: set(select(tx, "SELECT DISTINCT tenant_id FROM {}", table)) for table in tables}

    assert seen == {table: {(tenant.tenant_id,)} for table in tables}


def test_a_tenant_cannot_change_the_rows_of_another_in_any_table(
    db: Database, owner: psycopg.Connection, tenant: Tenant, neighbour: Tenant
) -> None:
    grants = owner.execute(
        "SELECT table_name, column_name FROM information_schema.column_privileges "
        "WHERE grantee = 'fleet_tenant' AND privilege_type = 'UPDATE'"
    ).fetchall()

    with db.transaction(tenant.tenant_id) as tx:
        changed = {
            f"{table}.{column}": tx.execute(
                sql.SQL("UPDATE {0} SET {1} = {1} WHERE tenant_id = %s").format(
                    sql.Identifier(table), sql.Identifier(column)
                ),
                [neighbour.tenant_id],
            ).rowcount
            for table, column in grants
        }

    assert {name for name, rows in changed.items() if rows} == set()
    assert len(changed) >= 15


def test_a_tenant_cannot_write_rows_in_anothers_name_in_any_table(
    db: Database, owner: psycopg.Connection, tenant: Tenant, neighbour: Tenant
) -> None:
    tables = tenant_tables(owner)
    copies = {table: copy_of_a_row(owner, table, neighbour) for table in tables}

    written = []
    for table in tables:
        try:
            with db.transaction(tenant.tenant_id) as tx:
                insert(tx, owner, table, copies[table])
        except psycopg.errors.InsufficientPrivilege:  # "permission denied" and "violates row-level security" alike
            continue
        written.append(table)

    assert written == []


def test_nobody_but_the_owner_can_delete_from_the_book(owner: psycopg.Connection) -> None:
    allowed = [
        (role, table, right)
        for role in ROLES
        for table in set(tables_with_a_tenant(owner)) - {"outbox", "api_requests"}
        for right in ("DELETE", "TRUNCATE")
        if may(owner, role, table, right)
    ]

    assert allowed == []


def test_neither_the_platform_nor_an_operator_can_write_a_payment_or_the_ledger(owner: psycopg.Connection) -> None:
    allowed = [
        (role, table, right)
        for role in ("fleet", "fleet_system", "fleet_ops")
        for table in MONEY
        for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
        if may(owner, role, table, right)
    ]

    assert allowed == []


def test_the_login_alone_can_read_nothing(book: Book, owner: psycopg.Connection) -> None:
    with psycopg.connect(book.fleet_url, autocommit=True) as login:
        for table in [*tables_with_a_tenant(owner), "outbox_lanes", "schedule_runs", "wake_ups", "legal_moves"]:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                select(login, "SELECT * FROM {}", table)


def test_a_role_without_a_tenant_sees_nothing(
    book: Book, owner: psycopg.Connection, tenant: Tenant, neighbour: Tenant
) -> None:
    with psycopg.connect(book.fleet_url) as login:
        login.execute("SET LOCAL ROLE fleet_tenant")

        rows = [select(login, "SELECT * FROM {}", table) for table in tenant_tables(owner)]

    assert rows == [[]] * len(rows)


def test_the_roles_cannot_go_around_row_level_security(owner: psycopg.Connection) -> None:
    roles = owner.execute(
        "SELECT rolname, rolsuper, rolbypassrls, rolinherit FROM pg_roles "
        "WHERE rolname ~ '^fleet' AND rolname <> 'fleet_owner'"
    ).fetchall()
    owned = owner.execute(
        "SELECT tableowner, tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner <> 'fleet_owner'"
    ).fetchall()

    assert {name for name, *_ in roles} >= set(ROLES)
    assert all((row[1], row[2]) == (False, False) for row in roles)
    logins = {row[0]: row[3] for row in roles if row[0] in LOGINS}
    assert logins == dict.fromkeys(LOGINS, False), "a login inherits nothing: it must become a role to see anything"
    assert owned == []


def test_a_tenant_does_not_outlive_its_transaction_not_even_a_broken_one(
    book: Book, owner: psycopg.Connection, tenant: Tenant, neighbour: Tenant
) -> None:
    one_connection = DatabaseSettings(
        app_env="test",  # type: ignore[arg-type]
        database_url=SecretStr(book.fleet_url),
        database_pool_size=1,
    )
    db = Database(one_connection, application="test")

    with pytest.raises(psycopg.errors.DivisionByZero), db.transaction(tenant.tenant_id) as tx:
        tx.execute("SELECT 1 / 0")
    with db.transaction(neighbour.tenant_id) as tx:
        seen = tx.execute("SELECT DISTINCT tenant_id FROM payments").fetchall()
    with db.system_transaction() as tx:
        setting = tx.execute("SELECT current_setting('app.tenant_id', true), current_user").fetchone()
    db.close()

    assert seen == [(neighbour.tenant_id,)]
    assert setting == ("", "fleet_system")


def tables_with_a_tenant(owner: psycopg.Connection) -> list[str]:
    rows = owner.execute(
        "SELECT table_name "
        "FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) "
        "WHERE table_schema = 'public' AND column_name = 'tenant_id' AND table_type = 'BASE TABLE' ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


def tenant_tables(owner: psycopg.Connection) -> list[str]:
    """Those of them that a tenant may touch in any way; the others belong to the platform alone."""
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
    tables = tables_with_a_tenant(owner)
    return [table for table in tables if any(may(owner, "fleet_tenant", table, right) for right in rights)]


def select(tx: psycopg.Connection, statement: str, table: str) -> list[tuple[object, ...]]:
    return tx.execute(sql.SQL(statement).format(sql.Identifier(table))).fetchall()  # type: ignore[arg-type]


def may(owner: psycopg.Connection, role: str, table: str, right: str) -> bool:
    by_column = right in {"SELECT", "INSERT", "UPDATE"}
    check = "has_any_column_privilege" if by_column else "has_table_privilege"
    row = owner.execute(sql.SQL("SELECT {}(%s, %s, %s)").format(sql.Identifier(check)), [role, table, right]).fetchone()
    assert row is not None
    return bool(row[0])


def copy_of_a_row(owner: psycopg.Connection, table: str, of: Tenant) -> dict[str, object]:
    rows = owner.execute(
        sql.SQL("SELECT to_jsonb(t) FROM {} t WHERE tenant_id = %s").format(sql.Identifier(table)), [of.tenant_id]
    ).fetchall()
    assert rows, f"{table} has no row of this tenant: let leave_a_row_everywhere leave one"
    return rows[0][0] | AS_NEW.get(table, {})


def insert(tx: Tx, owner: psycopg.Connection, table: str, row: dict[str, object]) -> None:
    columns = owner.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s "
        "AND is_identity = 'NO' AND is_generated = 'NEVER'",
        [table],
    ).fetchall()
    names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns)
    statement = sql.SQL("INSERT INTO {0} ({1}) SELECT {1} FROM jsonb_populate_record(NULL::{0}, %s)")
    tx.execute(statement.format(sql.Identifier(table), names), [Jsonb(row)])
