"""A tenant reads and writes its own rows only (M8). The tables are computed, so that a forgotten one is named."""

from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from db import (
    api_requests,
    calls,
    cancellation_steps,
    cases,
    charges,
    dead_letters,
    dispute_books,
    disputes,
    early_warnings,
    event_cancellations,
    failures,
    inbox,
    ledger,
    mint_settings,
    mints,
    ops_refunds,
    payments,
    refunds,
    series,
)
from db.cases import CaseType
from db.dead_letters import DeadLetter
from db.failures import Failure
from db.inbox import InboxEvent
from db.lifecycle import DisputeStatus
from db.mint_settings import MintSettings
from db.mints import NewMint
from db.ops_refunds import NewOpsRefund
from db.payments import Attempt, Payment
from db.refunds import NewRefund
from db.session import Database, Tx
from db.settings import DatabaseSettings
from db.tenants import Tenant
from messages.ids import TicketId
from messages.money import Money
from messages.tokens import series_of, token_id_of
from tests import factories
from tests.conftest import Book

MONEY = (
    "orders", "payments", "payment_history", "calls", "payment_attempts", "charges", "ledger_accounts",
    "ledger_journals", "ledger_entries", "refunds", "refund_history", "refund_tickets", "dispute_history",
    "dispute_movements", "early_fraud_warnings",
)  # fmt: skip
ROLES = ("fleet", "fleet_tenant", "fleet_system", "fleet_ops")
# A row copied from another tenant must fail because of whose it is, not because of the state it is in.
AS_NEW = {
    "payments": {"state": "requested", "history_seq": 1},
    "refunds": {"state": "requested", "history_seq": 1},
    "disputes": {"history_seq": 1},
    "mints": {"state": "queued", "history_seq": 1},
}


@pytest.fixture
def neighbour(db: Database, owner: psycopg.Connection, tenant: Tenant) -> Tenant:
    """Another tenant; both have rows in every table."""
    other = factories.tenant(owner)
    for each in (tenant, other):
        leave_a_row_everywhere(db, owner, each)
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

    assert {row[:3] for row in roles} == {(role, False, False) for role in ROLES}
    assert next(row[3] for row in roles if row[0] == "fleet") is False
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


def leave_a_row_everywhere(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    mint_settings.write(owner, tenant.tenant_id, [MintSettings(tenant.venues[0].venue_id, "on")])
    payment = factories.requested(db, tenant)
    intent, charge, message_id = f"pi_{uuid4().hex}", f"ch_{uuid4().hex}", uuid4()
    with db.transaction(tenant.tenant_id) as tx:
        payments.begin_charging(tx, payment.payment_id, platform_fee_minor=0, by="test")
        call = calls.begin(tx, operation="test", subject_id=payment.payment_id, request={})
        attempt = Attempt(call.call_id, "charged")
        payments.mark_succeeded(tx, payment, intent_id=intent, platform_fee_minor=0, attempt=attempt, by="test")
        charges.record(tx, payment, charge_id=charge, intent_id=intent, amount_minor=payment.amount_minor)
        given = (payment.payment_id, payment.amount, [TicketId(uuid4())], "duplicate", "", "api", f"key-{message_id}")
        refunds.request(tx, NewRefund(*given, by="test"))
        entries = ledger.stripe_fee_entries(payment.amount)
        ledger.post(tx, kind="charge", source_id=charge, payment_id=payment.payment_id, entries=entries)
        answer = {"fingerprint": bytes(32), "status": 202, "location": None, "body": b"{}", "seconds": 60}
        api_requests.keep(tx, caller="buyer", key=str(message_id), **answer)
        leave_a_dispute(tx, payment)
        leave_a_mint(tx, payment)
        reason = ("test", payment.payment_id, "give_up", "Test", "a reason", None)
        failures.record(tx, Failure(tenant.tenant_id, message_id, 1, 1, *reason))
        cases.open_case(tx, type=CaseType.REFUND_FAILED, subject=charge, details="a reason", tenant_id=tenant.tenant_id)
        run, _ = event_cancellations.begin(tx, tenant.tenant_id, uuid4(), note="", by="test")
        cancellation_steps.refuse(tx, run, payment.payment_id, code="test", reason="a reason")
    wish = NewOpsRefund(tenant.tenant_id, payment.payment_id, 1, "eur", [], "duplicate", "a note", "test")
    with db.ops_transaction() as tx:
        ops_refunds.ask(tx, wish, awaits_approval=False)
    event = InboxEvent(
        event_id=f"evt_{uuid4().hex}",
        tenant_id=tenant.tenant_id,
        payment_id=payment.payment_id,
        event_type="test",
        object_id=intent,
        account=None,
        api_version=None,
        livemode=False,
        payload={},
        state="pending",
        occurred_at=datetime.now(UTC),
    )
    with db.system_transaction() as tx:
        inbox.receive(tx, event)
        dead_letters.bury(tx, DeadLetter("worker", "a reason", "{}", message_id.bytes, tenant_id=tenant.tenant_id))


def leave_a_mint(tx: Tx, payment: Payment) -> None:
    event_id, ticket_id = uuid4(), TicketId(uuid4())
    name = series_of(payment.tenant_id, event_id)
    series.ensure(tx, event_id=event_id, venue_id=payment.venue_id, series=name)
    of_order = {"payment_id": payment.payment_id, "order_id": payment.order_id, "event_id": event_id}
    new = [NewMint(ticket_id, token_id_of(name, ticket_id), None)]
    mints.request(tx, **of_order, venue_id=payment.venue_id, new=new, by="test")


def leave_a_dispute(tx: Tx, payment: Payment) -> None:
    dispute_id, now, amount = f"dp_{uuid4().hex}", datetime.now(UTC), payment.amount
    seen = disputes.Seen(dispute_id, "ch_1", amount, "fraudulent", DisputeStatus.NEEDS_RESPONSE, now, None, now)
    disputes.record(tx, payment.payment_id, seen, stage="chargeback", submitted=False, by="test")
    nothing = Money(0, amount.currency)
    taken = dispute_books.Movement(f"txn_{uuid4().hex}", "dispute", -amount, -amount, nothing)
    dispute_books.record(tx, dispute_id, taken)
    of_warning = (payment.payment_id, "ch_1", "misc", True, "leave", "the venue's policy", None, now)
    early_warnings.record(tx, early_warnings.EarlyWarning(f"issfr_{uuid4().hex}", *of_warning))
