"""Each kind of process has a login of its own that may become only what its code becomes (db/roles.sql)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from db.queue import outbox
from db.session import Database
from db.settings import DatabaseSettings
from deploy.local.stack.postgres import set_password
from deploy.local.stack.stack import Stack
from messages.ids import TenantId
from outbox.monitoring.gauges import parts
from outbox.monitoring.slo import levels
from tests.conftest import Book

MAY_BECOME = {
    "fleet_relay": {"fleet_mover"},
    "fleet_scheduler": {"fleet_system"},
    "fleet_minter": {"fleet_system"},
    "fleet_dead_letters": {"fleet_system"},
    "fleet_intake": {"fleet_tenant", "fleet_system"},
    "fleet_worker": {"fleet_tenant", "fleet_system"},
    "fleet_console": {"fleet_ops"},
}
ROLES = {"fleet_tenant", "fleet_system", "fleet_mover", "fleet_ops", "fleet_owner"}


@pytest.fixture
def as_login(stack: Stack, book: Book) -> Iterator[Callable[[str], Database]]:
    opened: list[Database] = []
    with psycopg.connect(stack.postgres.superuser_url("postgres"), autocommit=True) as superuser:

        def log_in(role: str) -> Database:
            set_password(superuser, role, "of-this-test")
            url = book.fleet_url.partition("@")[2]
            settings = DatabaseSettings(
                app_env="test",  # type: ignore[arg-type]
                database_url=SecretStr(f"postgresql://{role}:of-this-test@{url}"),
            )
            opened.append(Database(settings, application="test"))
            return opened[-1]

        yield log_in
        for database in opened:
            database.close()


@pytest.mark.parametrize("login", MAY_BECOME)
def test_a_login_becomes_what_its_process_needs_and_nothing_else(
    as_login: Callable[[str], Database], login: str
) -> None:
    db = as_login(login)
    ways = {
        "fleet_tenant": lambda: db.transaction(TenantId(uuid4())),
        "fleet_system": db.system_transaction,
        "fleet_mover": db.moving_transaction,
        "fleet_ops": db.ops_transaction,
    }

    for role, way in ways.items():
        if role in MAY_BECOME[login]:
            with way() as tx:
                assert tx.execute("SELECT current_user").fetchone() == (role,)
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege), way():
                pass


@pytest.mark.parametrize("login", MAY_BECOME)
def test_a_login_by_itself_reads_nothing_and_only_knows_that_the_server_is_there(
    as_login: Callable[[str], Database], owner: psycopg.Connection, login: str
) -> None:
    db = as_login(login)

    db.wait_until_reachable(seconds=5)

    with pytest.raises(psycopg.errors.InsufficientPrivilege), _bare(db) as tx:
        tx.execute("SELECT 1 FROM payments")
    held = owner.execute(
        "SELECT rolname FROM pg_roles WHERE pg_has_role(%s, oid, 'MEMBER') AND rolname = ANY(%s)", [login, [*ROLES]]
    ).fetchall()
    assert {role for (role,) in held} == MAY_BECOME[login]
    assert owner.execute(
        "SELECT rolinherit, rolbypassrls, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = %s", [login]
    ).fetchone() == (False, False, False, False)


def test_the_relay_sees_the_outbox_of_every_tenant_and_no_payment(
    as_login: Callable[[str], Database], owner: psycopg.Connection
) -> None:
    db = as_login("fleet_relay")

    with db.moving_transaction() as tx:
        assert outbox.due(tx, [0, 1], not_older_than=None, limit=1) == []
    tables = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    readable = {
        name
        for (name,) in tables
        if owner.execute("SELECT has_table_privilege('fleet_mover', %s, 'SELECT')", [f"public.{name}"]).fetchone()
        == (True,)
    }
    assert readable == {"outbox", "outbox_lanes", "schema_migrations"}


@contextmanager
def _bare(db: Database) -> Iterator[psycopg.Connection]:
    with db._pool.connection() as connection:
        yield connection


def test_the_schedulers_login_takes_every_part_of_the_collectors_picture(as_login: Callable[[str], Database]) -> None:
    """Among them the sum of the ledger, whose alert would be silent for ever if it could not be read."""
    db = as_login("fleet_scheduler")
    picture = [*parts(db, ledger_seconds=300), *levels(db, payment_seconds=300, refund_seconds=3600)]

    names = {metric.name for part in picture for metric in part()}

    assert {
        "fleet_ledger_imbalance_minor",
        "fleet_money_at_risk_items",
        "fleet_database_oldest_snapshot_seconds",
    } <= names
