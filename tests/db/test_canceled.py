"""`canceled` in two releases (decision 0011): the same whichever spelling the rows have, and nothing that a worker of
the previous release would trip over.
"""

from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import tuple_row

from db.dead_letters import replay_batches
from db.dead_letters.states import BatchState
from db.dead_letters.views import DeadLetterFilter
from db.groups import groups, stuck, views
from db.groups.states import GroupState
from db.refunds import mass_refunds
from db.refunds.states import MassRefundState
from db.session import Database
from db.tenants.tenants import Tenant
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from tests import factories

DECISION = Path(__file__).resolve().parents[2] / "deploy/decisions/0011-one-spelling-of-canceled.md"
NEXT_MIGRATION = DECISION.read_text().split("```sql\n")[1].split("```")[0].encode()
TABLES = ("groups", "event_cancellations", "replay_batches")


@pytest.fixture(params=["cancelled", "canceled"])
def stored(request: pytest.FixtureRequest, owner: psycopg.Connection) -> str:
    """The word in the rows: the one of this release, or the one of the next, which drops the triggers."""
    if request.param == "canceled":
        for table in TABLES:
            owner.execute(f"DROP TRIGGER a_canceled_one_is_stored_as_before ON {table}")
    return str(request.param)


@pytest.fixture
def group_id(db: Database, tenant: Tenant) -> UUID:
    data = factories.group(tenant)
    accept(db, [IncomingEvent(factories.group_event("opened", data))])
    return UUID(data["group_id"])


def test_a_canceled_group_is_read_filtered_woken_and_voided(
    db: Database, owner: psycopg.Connection, tenant: Tenant, group_id: UUID, stored: str
) -> None:
    cancel(db, tenant, group_id)

    assert words_in(owner, "groups") == {stored}
    with db.ops_transaction() as tx:
        (line,) = views.latest(tx, state=GroupState("cancelled"), limit=5)
        told = [(move.from_state, move.to_state) for move in views.moves(tx, line)]
    assert line.state is GroupState.CANCELED
    assert told[-1] == ("open", "canceled")
    with db.system_transaction() as tx:
        assert stuck.count(tx, older_than_seconds=-1) == 1
    owner.execute("UPDATE group_members SET state = 'voided', state_by = 'test'")
    with db.transaction(tenant.tenant_id) as tx:
        group = groups.lock(tx, group_id)
        assert group is not None
        groups.move(tx, group, GroupState.VOIDED, reason=None, by="test")
        assert [state for _, state, _ in groups.moves_of(tx, group_id)] == ["open", "canceled", "voided"]


def test_a_stopped_mass_refund_leaves_the_event_on(
    db: Database, owner: psycopg.Connection, tenant: Tenant, stored: str
) -> None:
    event_id = uuid4()
    first = stopped(db, tenant, event_id)

    assert words_in(owner, "event_cancellations") == {stored}
    with db.transaction(tenant.tenant_id) as tx:
        again = mass_refunds.get(tx, first)
        assert again is not None and again.state is MassRefundState.CANCELED
        assert mass_refunds.of_event(tx, tenant.tenant_id, event_id) is None
        assert mass_refunds.cancelled_among(tx, [event_id]) == set()
        _, is_new = mass_refunds.begin(tx, tenant.tenant_id, event_id, note="rain", by="test")
        assert is_new
        assert mass_refunds.cancelled_among(tx, [event_id]) == {event_id}


def test_a_canceled_batch_is_over(db: Database, owner: psycopg.Connection, stored: str) -> None:
    with db.ops_transaction() as tx:
        batch_id, _ = replay_batches.create(tx, DeadLetterFilter(), operator="ann", reason="why not", rate_per_second=1)
        assert replay_batches.move(tx, batch_id, leaving=("classifying",), to=BatchState.CANCELED, by="ann")
        batch = replay_batches.get(tx, batch_id)

    assert words_in(owner, "replay_batches") == {stored}
    assert batch is not None and batch.state is BatchState.CANCELED
    assert batch.finished_at is not None


def test_a_worker_of_the_previous_release_meets_only_its_own_word(
    db: Database, owner: psycopg.Connection, tenant: Tenant, group_id: UUID
) -> None:
    """It writes `cancelled`, reads `cancelled`, and finds no stopped mass refund among those that are not."""
    owner.execute("UPDATE groups SET state = 'cancelled', state_by = 'old' WHERE group_id = %s", [group_id])
    stopped(db, tenant, uuid4())

    assert owner.execute("SELECT state FROM groups WHERE state IN ('complete', 'expired', 'cancelled')").fetchall()
    assert owner.execute("SELECT FROM event_cancellations WHERE state <> 'cancelled'").fetchall() == []
    assert owner.execute("SELECT to_state FROM group_history WHERE to_state = 'canceled'").fetchall() == []
    with db.transaction(tenant.tenant_id) as tx:
        group = groups.get(tx, group_id)
    assert group is not None and group.state is GroupState.CANCELED


def test_the_next_releases_migration_renames_what_stands_and_writes_no_history(
    db: Database, owner: psycopg.Connection, tenant: Tenant, group_id: UUID
) -> None:
    cancel(db, tenant, group_id)
    stopped(db, tenant, uuid4())

    owner.execute(NEXT_MIGRATION)

    assert words_in(owner, "groups") | words_in(owner, "event_cancellations") == {"canceled"}
    assert owner.execute("SELECT to_state FROM group_history ORDER BY seq").fetchall() == [("open",), ("cancelled",)]
    with pytest.raises(psycopg.errors.RestrictViolation, match="canceled -> open is not a legal move"):
        owner.execute("UPDATE groups SET state = 'open'")


def cancel(db: Database, tenant: Tenant, group_id: UUID) -> None:
    with db.transaction(tenant.tenant_id) as tx:
        group = groups.lock(tx, group_id)
        assert group is not None
        groups.move(tx, group, GroupState.CANCELED, reason="event_cancelled", by="test")


def stopped(db: Database, tenant: Tenant, event_id: UUID) -> UUID:
    """A mass refund that an operator has stopped."""
    with db.transaction(tenant.tenant_id) as tx:
        run, _ = mass_refunds.begin(tx, tenant.tenant_id, event_id, note="rain", by="test")
    with db.ops_transaction() as tx:
        assert mass_refunds.steer(tx, run, MassRefundState.CANCELED, leaving=["running"], by="ann", reason="sun")
    return run.cancellation_id


def words_in(owner: psycopg.Connection, table: str) -> set[str]:
    with owner.cursor(row_factory=tuple_row) as cursor:
        return {row[0] for row in cursor.execute(f"SELECT state FROM {table}").fetchall()}
