"""The net under the groups: what should have moved and was forgotten is woken, and nothing else."""

import psycopg
import pytest

from db.groups import stuck as group_stuck
from db.session import Database
from db.tenants.tenants import Tenant
from stripe_client.gateway import Gateway
from tests.workers.groups.scenario import Party


@pytest.fixture
def party(db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant) -> Party:
    """Opened, and every message of it lost."""
    party = Party.opened(db, owner, gateway, tenant, 1000, 1000)
    owner.execute("DELETE FROM outbox")
    return party


def woken(party: Party) -> int:
    with party.db.system_transaction() as tx:
        return len(group_stuck.take(tx, older_than_seconds=0, limit=10))


def test_a_group_that_waits_for_its_members_is_left_alone(party: Party) -> None:
    assert woken(party) == 0


def test_a_deadline_whose_message_was_lost_is_noticed_once_at_a_time(party: Party) -> None:
    party.let_deadline_pass()

    assert [woken(party) for _ in range(2)] == [1, 1]  # a patience of no seconds
    party.wake()
    assert party.state == "voided"
    assert woken(party) == 0


def test_a_payment_whose_group_was_not_woken_is_noticed(party: Party) -> None:
    party.pay(0)
    party.carry_out("charge")
    party.owner.execute("DELETE FROM outbox")

    assert woken(party) == 1
    party.wake()
    assert party.members() == ["held", "invited"]
    assert woken(party) == 0


def test_a_hold_that_is_about_to_end_is_noticed(party: Party) -> None:
    party.pay(0)
    party.carry_out()
    party.owner.execute("DELETE FROM outbox")
    party.owner.execute("UPDATE payments SET capture_before = clock_timestamp() + interval '23 h'")

    assert woken(party) == 1
    party.wake()
    party.carry_out()
    assert party.members() == ["paid", "invited"]


def test_a_reminder_whose_message_was_lost_is_noticed(party: Party) -> None:
    party.owner.execute(
        "INSERT INTO group_reminders (tenant_id, group_id, remind_at) "
        "SELECT tenant_id, group_id, clock_timestamp() FROM groups"
    )

    assert woken(party) == 1
    party.wake()
    assert woken(party) == 0


def test_a_group_that_ends_is_woken_until_it_is_voided(party: Party) -> None:
    party.pay(0)
    party.carry_out()
    party.let_deadline_pass()
    party.wake()
    party.owner.execute("DELETE FROM outbox")
    assert party.state == "expired"

    assert woken(party) == 1


def test_a_group_whose_message_waits_is_not_woken(party: Party) -> None:
    party.pay(0)
    party.let_deadline_pass()
    party.carry_out("charge")

    assert woken(party) == 0
