"""A group's promises that the database keeps by itself, whoever asks it for something else (M7)."""

from uuid import UUID, uuid4

import psycopg
import pytest

from db.groups.states import GROUP_MOVES, MEMBER_MOVES, GroupState, MemberState
from db.session import Database
from db.tenants.tenants import Tenant
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from tests import factories

MOVE = "UPDATE groups SET state = %s, state_by = 'test' WHERE group_id = %s"


@pytest.fixture
def group_id(db: Database, tenant: Tenant) -> UUID:
    """A group of which one member is paying."""
    data = factories.group(tenant)
    events = [factories.group_event("opened", data), factories.group_event("share_paid_with", factories.share(data, 0))]
    assert accept(db, [IncomingEvent(event) for event in events]) == [OrderOutcome.ACCEPTED] * 2
    return UUID(data["group_id"])


def test_every_illegal_move_of_a_group_is_refused(owner: psycopg.Connection, group_id: UUID) -> None:
    for target in set(GroupState) - GROUP_MOVES[GroupState.OPEN] - {GroupState.OPEN}:
        with pytest.raises(psycopg.errors.RestrictViolation, match="is not a legal move"):
            owner.execute(MOVE, [target.value, group_id])


@pytest.mark.parametrize("origin", MemberState)
def test_every_illegal_move_of_a_member_is_refused(
    owner: psycopg.Connection, group_id: UUID, origin: MemberState
) -> None:
    way = {"voided": ["voided"], "refunded": ["paid", "refunded"]}.get(origin.value, [origin.value])
    member = owner.execute("SELECT member_id FROM group_members WHERE state = 'paying'").fetchone()
    assert member is not None
    if origin is MemberState.INVITED:
        member = owner.execute("SELECT member_id FROM group_members WHERE state = 'invited'").fetchone()
        way = []
    assert member is not None
    move = "UPDATE group_members SET state = %s, state_by = 'test' WHERE member_id = %s"
    for step in way:
        owner.execute(move, [step, member[0]])

    for target in set(MemberState) - MEMBER_MOVES[origin] - {origin}:
        with pytest.raises(psycopg.errors.RestrictViolation, match="is not a legal move"):
            owner.execute(move, [target.value, member[0]])


def test_a_group_is_not_complete_while_a_share_is_missing(owner: psycopg.Connection, group_id: UUID) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match="cannot be complete: 3 members are not there"):
        owner.execute(MOVE, ["complete", group_id])


def test_a_group_is_not_settled_by_what_is_only_held(owner: psycopg.Connection, group_id: UUID) -> None:
    payment = owner.execute("SELECT payment_id FROM payments").fetchone()
    assert payment is not None
    for state in ("paying", "held"):
        owner.execute(
            "UPDATE group_members SET state = %s, state_by = 'test', payment_id = %s WHERE state <> %s",
            [state, payment[0], state],
        )
    owner.execute(MOVE, ["complete", group_id])

    with pytest.raises(psycopg.errors.RestrictViolation, match="cannot be settled"):
        owner.execute(MOVE, ["settled", group_id])


def test_a_group_is_not_voided_while_a_member_is_not_let_go(owner: psycopg.Connection, group_id: UUID) -> None:
    owner.execute(MOVE, ["expired", group_id])

    with pytest.raises(psycopg.errors.RestrictViolation, match="cannot be voided"):
        owner.execute(MOVE, ["voided", group_id])


@pytest.mark.parametrize("column", ["amount_minor = 1", "deadline = 'infinity'", "organiser_id = uuidv7()"])
def test_what_was_opened_cannot_change(owner: psycopg.Connection, group_id: UUID, column: str) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match="what was opened cannot change"):
        owner.execute(f"UPDATE groups SET {column}")


def test_a_share_that_is_secured_takes_no_other_payment(owner: psycopg.Connection, group_id: UUID) -> None:
    owner.execute("UPDATE group_members SET state = 'held', state_by = 'test' WHERE state = 'paying'")

    with pytest.raises(psycopg.errors.RestrictViolation, match="another payment cannot take its place"):
        owner.execute("UPDATE group_members SET payment_id = %s WHERE state = 'held'", [uuid4()])


def test_a_member_cannot_be_born_as_one_who_has_paid(owner: psycopg.Connection, group_id: UUID) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match="starts as invited"):
        owner.execute(
            "INSERT INTO group_members (tenant_id, group_id, member_id, place, buyer_id, share_minor, currency, state, "
            "state_by) SELECT tenant_id, group_id, uuidv7(), 9, 'buyer-9', 1, 'eur', 'paid', 'test' FROM groups"
        )
