"""What an operator's process may not do to money, whatever its code says: the database refuses it."""

from uuid import uuid4

import psycopg
import pytest

from db.operators import refund_requests
from db.operators.refund_requests import NewRefundOrder
from db.refunds import mass_refunds
from db.session import Database
from db.tenants.tenants import Tenant
from tests import factories


@pytest.fixture
def wishes(db: Database, tenant: Tenant) -> None:
    """A cancelled event, and a refund that an operator asked for."""
    payment = factories.requested(db, tenant)
    wish = NewRefundOrder(tenant.tenant_id, payment.payment_id, 1, "eur", [], "duplicate", "a note", "test")
    with db.ops_transaction() as tx:
        mass_refunds.begin(tx, tenant.tenant_id, uuid4(), note="", by="test")
        refund_requests.ask(tx, wish, awaits_approval=False)


@pytest.mark.parametrize("kind", ["charge", "refund", "cancel", "payment.succeeded"])
def test_an_operator_can_queue_no_message_that_moves_money_by_itself(db: Database, kind: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"), db.ops_transaction() as tx:
        tx.execute(
            "INSERT INTO outbox (message_id, kind, exchange, routing_key, lane, body) "
            "VALUES (uuidv7(), %s, '', 'x', 0, '')",
            [kind],
        )


@pytest.mark.usefixtures("wishes")
def test_an_operator_can_neither_grant_a_refund_nor_move_the_cursor_of_a_cancellation(
    db: Database,
) -> None:
    for forbidden in (
        "UPDATE ops_refunds SET refund_id = uuidv7()",
        "UPDATE ops_refunds SET state = 'granted'",
        "UPDATE event_cancellations SET cursor_order_id = uuidv7()",
        "UPDATE event_cancellations SET state = 'done'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), db.ops_transaction() as tx:
            if not tx.execute(forbidden).rowcount:  # a row that the policy hides is a row that cannot be changed
                raise psycopg.errors.InsufficientPrivilege
