"""The two ways into the database: short, bounded, and back after the database was away."""

import os
import socket
from collections.abc import Callable

import psycopg
import pytest

from db.leadership import Leadership
from db.session import Database
from db.tenants.tenants import Tenant
from tests.conftest import Book


def test_dead_connections_of_the_pool_are_replaced_before_anything_is_sent_on_them(
    db: Database, tenant: Tenant, cut_connections: Callable[[], None]
) -> None:
    with db.system_transaction() as one, db.system_transaction() as two:  # so that the pool holds two
        one.execute("SELECT 1")
        two.execute("SELECT 1")
    cut_connections()

    with db.transaction(tenant.tenant_id) as tx:
        assert tx.execute("SELECT 1").fetchone() == (1,)


def test_a_connection_that_dies_inside_a_transaction_writes_nothing_and_is_not_used_again(
    db: Database, cut_connections: Callable[[], None]
) -> None:
    with pytest.raises(psycopg.OperationalError), db.system_transaction() as tx:
        tx.execute("INSERT INTO wake_ups (subject, times, not_before) VALUES ('x', 1, now())")
        cut_connections()
        tx.execute("SELECT 1")

    with db.system_transaction() as tx:
        assert tx.execute("SELECT count(*) FROM wake_ups").fetchone() == (0,)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux names these options")
def test_a_server_that_vanished_without_a_word_is_noticed_within_seconds(db: Database) -> None:
    with db.system_transaction() as tx, socket.socket(fileno=os.dup(tx.fileno())) as line:
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 15
        assert 0 < line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 20_000


@pytest.mark.parametrize(
    ("setting", "value"),
    [("statement_timeout", "5s"), ("lock_timeout", "3s"), ("idle_in_transaction_session_timeout", "20s")],
)
def test_no_statement_lock_or_forgotten_transaction_lasts_for_ever(db: Database, setting: str, value: str) -> None:
    with db.system_transaction() as tx:
        assert tx.execute("SELECT current_setting(%s)", [setting]).fetchone() == (value,)


def test_a_connection_to_a_server_that_became_read_only_is_replaced_before_anything_is_sent_on_it(
    db: Database, tenant: Tenant
) -> None:
    with db.system_transaction() as tx:
        before = tx.info.backend_pid
        tx.execute("SET default_transaction_read_only = on")  # told to the client as a reload of the settings would

    with db.transaction(tenant.tenant_id) as tx:
        assert tx.info.backend_pid != before
        assert tx.execute("SELECT current_setting('transaction_read_only')").fetchone() == ("off",)


def test_writing_where_it_can_only_be_read_means_that_the_database_is_away(db: Database) -> None:
    with pytest.raises(psycopg.OperationalError, match="read-only transaction"), db.system_transaction() as tx:
        before = tx.info.backend_pid
        tx.execute("SET TRANSACTION READ ONLY")
        tx.execute("INSERT INTO wake_ups (subject, times, not_before) VALUES ('x', 1, now())")

    with db.system_transaction() as tx:
        assert tx.info.backend_pid != before


def test_a_database_that_can_only_be_read_is_away_and_nobody_leads_there(
    db: Database, book: Book, owner: psycopg.Connection, cut_connections: Callable[[], None]
) -> None:
    lead = Leadership(book.settings, "test")
    assert lead.held()
    owner.execute(f"ALTER DATABASE {book.name} SET default_transaction_read_only = on")  # type: ignore[call-overload]
    cut_connections()  # those that are there were begun before

    with pytest.raises(psycopg.OperationalError, match="the database is away"), db.system_transaction():
        pass
    for _ in range(2):  # its line is dead; and the next one leads to where nothing can be written
        with pytest.raises(psycopg.OperationalError):
            lead.held()
