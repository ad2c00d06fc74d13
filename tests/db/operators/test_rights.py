"""What an operator's process may not do to money, whatever its code says: the database refuses it."""

from uuid import UUID, uuid4

import psycopg
import pytest

from db.operators import requests
from db.operators.requests import NewOperatorRequest, OperatorRequest
from db.refunds import mass_refunds
from db.session import Database
from db.tenants.tenants import Tenant
from tests import factories


def asked(db: Database, tenant: Tenant, *, awaits_approval: bool) -> OperatorRequest:
    """A refund that ada asked for."""
    payment = factories.requested(db, tenant)
    whose = (tenant.tenant_id, "refund", payment.payment_id, 1, "eur")
    with db.ops_transaction() as tx:
        new = NewOperatorRequest(*whose, note="a note", by="ada", reason="duplicate")
        return requests.ask(tx, new, awaits_approval=awaits_approval)


@pytest.mark.parametrize("kind", ["charge", "refund", "cancel", "payment.succeeded"])
def test_an_operator_can_queue_no_message_that_moves_money_by_itself(db: Database, kind: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"), db.ops_transaction() as tx:
        tx.execute(
            "INSERT INTO outbox (message_id, kind, exchange, routing_key, lane, body) "
            "VALUES (uuidv7(), %s, '', 'x', 0, '')",
            [kind],
        )


def test_an_operator_can_neither_grant_a_request_nor_move_the_cursor_of_a_cancellation(
    db: Database, tenant: Tenant
) -> None:
    asked(db, tenant, awaits_approval=False)
    with db.ops_transaction() as tx:
        mass_refunds.begin(tx, tenant.tenant_id, uuid4(), note="", by="test")
    for forbidden in (
        "UPDATE operator_requests SET refund_id = uuidv7()",
        "UPDATE operator_requests SET state = 'granted'",
        "UPDATE event_cancellations SET cursor_order_id = uuidv7()",
        "UPDATE event_cancellations SET state = 'done'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), db.ops_transaction() as tx:
            if not tx.execute(forbidden).rowcount:  # a row that the policy hides is a row that cannot be changed
                raise psycopg.errors.InsufficientPrivilege


def test_nobody_approves_its_own_request_and_none_goes_on_without_an_approval(db: Database, tenant: Tenant) -> None:
    request = asked(db, tenant, awaits_approval=True)

    with pytest.raises(psycopg.errors.CheckViolation, match="second_person"), db.ops_transaction() as tx:
        requests.approve(tx, request.request_id, by="ada")
    with pytest.raises(psycopg.errors.RestrictViolation, match="waits for the approval"), db.ops_transaction() as tx:
        tx.execute("UPDATE operator_requests SET state = 'asked', state_by = 'grace'")
    with db.ops_transaction() as tx:
        assert requests.approve(tx, request.request_id, by="grace")
        assert not requests.approve(tx, request.request_id, by="linus")

    assert read(db, request.request_id).approved_by == "grace"


def test_an_approval_that_was_given_stands(db: Database, tenant: Tenant, owner: psycopg.Connection) -> None:
    request = asked(db, tenant, awaits_approval=True)
    with db.ops_transaction() as tx:
        requests.approve(tx, request.request_id, by="grace")

    with pytest.raises(psycopg.errors.RestrictViolation, match="its approval stands"):
        owner.execute("UPDATE operator_requests SET approved_by = 'linus'")


def read(db: Database, request_id: UUID) -> OperatorRequest:
    with db.ops_transaction() as tx:
        request = requests.get(tx, request_id)
    assert request is not None
    return request
