"""Migration 0055 under the previous release: its rows are carried over, and its statements still do what they did."""

from uuid import UUID, uuid4

import psycopg
import pytest

from db import migrate as migrations
from db.migrate import Migration, migrate, shipped
from db.operators import requests
from db.session import Database
from db.tenants.tenants import Tenant
from tests import factories

BEFORE = "0055"


def test_the_rows_of_both_tables_are_carried_over_with_every_word(
    bare_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = shipped()
    migrate_only(bare_url, monkeypatch, [migration for migration in everything if migration.name < BEFORE])
    with psycopg.connect(bare_url, autocommit=True) as connection:
        tenant_id, payment_id = a_payment_with_shares(connection)
        whose = [tenant_id, payment_id]
        connection.execute(
            "INSERT INTO ops_refunds (tenant_id, payment_id, amount_minor, currency, reason, note, state, state_by, "
            "created_by, approved_by) VALUES (%s, %s, 4200, 'eur', 'duplicate', 'paid twice', 'asked', 'grace', 'ada', "
            "'grace')",
            whose,
        )
        connection.execute(
            "INSERT INTO escrow_wishes (tenant_id, payment_id, what, amount_minor, currency, note, state, state_by, "
            "state_reason, created_by) VALUES (%s, %s, 'release', 900, 'eur', 'moved', 'refused', 'ops_escrow', "
            "'its shares have left escrow already', 'ada')",
            whose,
        )
        refunds = connection.execute("SELECT * FROM ops_refunds").fetchall()
        wishes = connection.execute("SELECT * FROM escrow_wishes").fetchall()

    migrate_only(bare_url, monkeypatch, everything)

    with psycopg.connect(bare_url, autocommit=True) as connection:
        in_old_order = connection.execute(
            "SELECT tenant_id, request_id, payment_id, amount_minor, currency, ticket_ids, reason, note, retry_of, "
            "state, state_by, state_reason, state_since, refund_id, created_by, created_at, approved_by "
            "FROM operator_requests WHERE kind = 'refund'"
        ).fetchall()
        assert in_old_order == refunds
        assert connection.execute("SELECT * FROM escrow_wishes").fetchall() == wishes
        assert connection.execute("SELECT count(*) FROM operator_requests").fetchone() == (2,)


def test_a_request_of_the_previous_release_is_read_by_this_one(db: Database, tenant: Tenant) -> None:
    payment = factories.requested(db, tenant)
    whose = {"tenant": tenant.tenant_id, "payment": payment.payment_id}

    with db.ops_transaction() as tx:
        (refund,) = fetched(tx.execute(OLD_REFUND, whose))
        (wish,) = fetched(tx.execute(OLD_WISH, whose))
        read = [requests.get(tx, name) for name in (refund, wish)]

    assert [(request.kind, request.state, request.created_by) for request in read if request] == [
        ("refund", "awaiting_approval", "ada"),
        ("release", "asked", "ada"),
    ]


def test_the_previous_release_approves_and_answers_what_this_one_was_asked(db: Database, tenant: Tenant) -> None:
    payment = factories.requested(db, tenant)
    whose = {"tenant": tenant.tenant_id, "payment": payment.payment_id}
    with db.ops_transaction() as tx:
        (name,) = fetched(tx.execute(OLD_REFUND, whose))

    with pytest.raises(psycopg.errors.CheckViolation), db.ops_transaction() as tx:
        tx.execute(OLD_APPROVAL, {"id": name, "by": "ada"})
    with db.ops_transaction() as tx:
        assert tx.execute(OLD_APPROVAL, {"id": name, "by": "grace"}).rowcount == 1
    with db.transaction(tenant.tenant_id) as tx:
        assert fetched(tx.execute("SELECT state FROM ops_refunds WHERE request_id = %s FOR UPDATE", [name])) == (
            "asked",
        )
        tx.execute("UPDATE ops_refunds SET state = 'refused', state_by = 'ops_refund' WHERE request_id = %s", [name])

    with db.ops_transaction() as tx:
        request = requests.get(tx, name)
    assert request is not None
    assert (request.state, request.approved_by) == ("refused", "grace")


def test_through_the_old_names_too_a_tenant_sees_its_own_rows_only(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    neighbour = factories.tenant(owner)
    payment = factories.requested(db, tenant)
    whose = {"tenant": tenant.tenant_id, "payment": payment.payment_id}
    with db.ops_transaction() as tx:
        tx.execute(OLD_REFUND, whose)
        tx.execute(OLD_WISH, whose)

    for name in ("ops_refunds", "escrow_wishes"):
        with db.transaction(neighbour.tenant_id) as tx:
            assert tx.execute(f"SELECT 1 FROM {name}").fetchall() == []  # type: ignore[arg-type]


# As the previous release wrote them (its modules refund_requests and release_requests).
OLD_REFUND = """
    INSERT INTO ops_refunds (
        tenant_id, payment_id, amount_minor, currency, ticket_ids, reason, note, retry_of, state, state_by, created_by)
    VALUES (%(tenant)s, %(payment)s, 1, 'eur', '{}', 'duplicate', 'a note', NULL, 'awaiting_approval', 'ada', 'ada')
    RETURNING request_id
"""
OLD_WISH = """
    INSERT INTO escrow_wishes (
        tenant_id, payment_id, what, amount_minor, currency, note, state, state_by, created_by)
    VALUES (%(tenant)s, %(payment)s, 'release', 1, 'eur', 'a note', 'asked', 'ada', 'ada')
    RETURNING wish_id
"""
OLD_APPROVAL = """
    UPDATE ops_refunds SET state = 'asked', state_by = %(by)s, approved_by = %(by)s
    WHERE request_id = %(id)s AND state = 'awaiting_approval'
"""


def fetched(cursor: psycopg.Cursor[tuple[UUID]]) -> tuple[UUID]:
    row = cursor.fetchone()
    assert row is not None
    return row


def migrate_only(url: str, monkeypatch: pytest.MonkeyPatch, which: list[Migration]) -> None:
    monkeypatch.setattr(migrations, "shipped", lambda: which)
    migrate(url)


def a_payment_with_shares(connection: psycopg.Connection) -> tuple[UUID, UUID]:
    """As far as the two tables care: an order, its payment, and the row that says how it was split."""
    tenant = factories.tenant(connection)
    ids = {"tenant": tenant.tenant_id, "venue": tenant.venues[0].venue_id, "order": uuid4(), "payment": uuid4()}
    for statement in (
        "INSERT INTO orders (tenant_id, order_id, event_source, event_id, fingerprint, order_data) "
        "VALUES (%(tenant)s, %(order)s, 'test', 'test', sha256(''), '{}')",
        "INSERT INTO payments (tenant_id, payment_id, order_id, venue_id, buyer_id, amount_minor, currency, capture, "
        "payment_method_id, state_by) "
        "VALUES (%(tenant)s, %(payment)s, %(order)s, %(venue)s, 'buyer', 4200, 'eur', 'automatic', 'pm', 'test')",
        "INSERT INTO distributions (tenant_id, payment_id, mode, sale, event_id, amount_minor, currency) "
        "VALUES (%(tenant)s, %(payment)s, 'separate', 'primary', %(order)s, 4200, 'eur')",
    ):
        connection.execute(statement, ids)
    return tenant.tenant_id, ids["payment"]
