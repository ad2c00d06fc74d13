"""Approving: one rule for refunds, releases, mass refunds and replay batches, and each approval counts once."""

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest

from db.dead_letters import replay_batches
from db.dead_letters.views import DeadLetterFilter
from db.operators import requests
from db.operators.requests import NewOperatorRequest
from db.session import Database
from db.tenants.tenants import Tenant
from messages.runtime.settings import AppEnv
from outbox.ops.session import Operator, OpsSettings
from outbox.requests.approvals import approve, approve_batch, withdraw
from outbox.requests.mass_refunds import cancel_event
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError
from tests import factories

Ask = Callable[[Database, Tenant], UUID]
Approve = Callable[[OperatorTransaction, UUID], object]


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


def operator(db: Database, name: str) -> Operator:
    return Operator(db, OpsSettings(app_env=AppEnv.TEST), name)


def request_of(kind: str) -> Ask:
    def ask(db: Database, tenant: Tenant) -> UUID:
        payment = factories.requested(db, tenant)
        whose = (tenant.tenant_id, kind, payment.payment_id, 4200, "eur")
        reason = "duplicate" if kind == "refund" else None
        with db.ops_transaction() as tx:
            new = NewOperatorRequest(*whose, note="a note", by="ada", reason=reason)
            return requests.ask(tx, new, awaits_approval=True).request_id

    return ask


def mass_refund(db: Database, tenant: Tenant) -> UUID:
    with db.ops_transaction() as tx:
        run, _ = cancel_event(tx, tenant.tenant_id, uuid4(), note="storm", by="ada", awaits_approval=True)
    return run.cancellation_id


def batch(db: Database, _tenant: Tenant) -> UUID:
    with db.ops_transaction() as tx:
        batch_id, _ = replay_batches.create(tx, DeadLetterFilter(), operator="ada", reason="back", rate_per_second=1)
    with db.system_transaction() as tx:
        assert replay_batches.move(tx, batch_id, leaving=("classifying",), to="previewed")
    with db.ops_transaction() as tx:
        assert replay_batches.move(tx, batch_id, leaving=("previewed",), to="awaiting_approval", by="ada")
    return batch_id


EVERY_KIND = pytest.mark.parametrize(
    ("ask", "approve", "queued"),
    [
        (request_of("refund"), approve, "ops_refund"),
        (request_of("release"), approve, "ops_escrow"),
        (mass_refund, approve, "cancel_event"),
        (batch, approve_batch, "replay"),
    ],
    ids=["refund", "release", "mass refund", "replay batch"],
)


@EVERY_KIND
def test_the_second_operator_lets_it_go_on_and_nobody_its_own(
    db: Database, owner: psycopg.Connection, tenant: Tenant, ask: Ask, approve: Approve, queued: str
) -> None:
    name = ask(db, tenant)

    with (
        pytest.raises(RefusedError, match="you cannot approve your own request"),
        operator(db, "ada").transaction() as acting,
    ):
        approve(acting, name)
    before = kinds(owner)
    with operator(db, "grace").transaction() as acting:
        approve(acting, name)

    assert queued not in before
    assert kinds(owner).count(queued) == 1
    assert owner.execute("SELECT operator FROM operator_log").fetchall() == [("grace",)]


@EVERY_KIND
def test_what_was_approved_waits_for_no_second_approval(
    db: Database, owner: psycopg.Connection, tenant: Tenant, ask: Ask, approve: Approve, queued: str
) -> None:
    name = ask(db, tenant)
    with operator(db, "grace").transaction() as acting:
        approve(acting, name)

    with pytest.raises(RefusedError, match="waits for no approval"), operator(db, "linus").transaction() as acting:
        approve(acting, name)

    assert kinds(owner).count(queued) == 1


@pytest.mark.parametrize("approve", [approve, approve_batch])
def test_what_nobody_asked_for_cannot_be_approved(db: Database, approve: Approve) -> None:
    with pytest.raises(RefusedError, match="there is no"), operator(db, "grace").transaction() as acting:
        approve(acting, uuid4())


def test_a_request_is_withdrawn_with_a_reason_and_only_while_it_waits(db: Database, tenant: Tenant) -> None:
    name = request_of("release")(db, tenant)

    with pytest.raises(RefusedError, match="give a reason"), operator(db, "ada").transaction() as acting:
        withdraw(acting, name, reason=" ")
    with operator(db, "ada").transaction() as acting:
        withdrawn = withdraw(acting, name, reason="a mistake")
    with pytest.raises(RefusedError, match="withdrawn"), operator(db, "grace").transaction() as acting:
        approve(acting, name)

    assert (withdrawn.state, withdrawn.state_reason) == ("withdrawn", "a mistake")


def kinds(owner: psycopg.Connection) -> list[str]:
    return [kind for (kind,) in owner.execute("SELECT kind FROM outbox").fetchall()]
