"""The outbox table: what is due, in which order, and which relay may take it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg

from db.queue import outbox
from db.queue.outbox import LANES, DueRow, NewRow
from db.session import Database, Tx
from tests.conftest import Book

EVERY_LANE = range(LANES)


def test_rows_of_one_key_come_in_the_order_in_which_they_were_appended(db: Database) -> None:
    key = uuid4()
    rows = [new_row(key) for _ in range(40)]

    append(db, *rows[:1])
    append(db, *rows[1:30])
    append(db, *rows[30:])

    assert [row.message_id for row in due(db)] == [row.message_id for row in rows]


def test_rows_of_one_key_share_a_lane() -> None:
    key = uuid4()

    assert {new_row(key).lane for _ in range(20)} == {key.int % LANES}


def test_a_row_is_not_due_before_its_time(db: Database, owner: psycopg.Connection) -> None:
    append(db, new_row(not_before=datetime.now(UTC) + timedelta(minutes=5)))
    assert due(db) == []

    owner.execute("UPDATE outbox SET due_at = due_at - interval '5 minutes'")

    assert len(due(db)) == 1


def test_a_time_gone_by_means_now_and_never_overtakes(db: Database) -> None:
    first, late = new_row(), new_row(not_before=datetime.now(UTC) - timedelta(days=1))
    append(db, first)
    append(db, late, new_row())

    assert [row.message_id for row in due(db)][:2] == [first.message_id, late.message_id]


def test_a_transaction_that_commits_late_is_found_although_its_row_is_older(db: Database) -> None:
    slow, quick = new_row(), new_row()

    with db.system_transaction() as tx:
        outbox.insert(tx, [slow])
        append(db, quick)
        settle_all(db)

    found = due(db)
    assert [row.message_id for row in found] == [slow.message_id]


def test_two_relays_share_the_lanes_and_hold_none_together(db: Database) -> None:
    with db.system_transaction() as one, db.system_transaction() as two:
        first = outbox.lock_lanes(one, at_most=4, starting_with=0)
        second = outbox.lock_lanes(two, at_most=8, starting_with=0)
        with db.system_transaction() as three:
            third = outbox.lock_lanes(three, at_most=8, starting_with=0)

    assert sorted(first + second) == list(EVERY_LANE)
    assert third == []


def test_lanes_are_handed_out_from_the_one_asked_for(db: Database) -> None:
    with db.system_transaction() as tx:
        assert outbox.lock_lanes(tx, at_most=3, starting_with=6) == [6, 7, 0]


def test_rows_of_one_key_are_never_held_by_two_relays(db: Database) -> None:
    key = uuid4()
    append(db, *[new_row(key) for _ in range(6)], *[new_row() for _ in range(60)])

    with db.system_transaction() as one, db.system_transaction() as two:
        first = claim(one, at_most=4)
        second = claim(two, at_most=4)

    assert {row.id for row in first}.isdisjoint(row.id for row in second)
    assert len(first) + len(second) == 66
    holders = [lanes for lanes in (first, second) if any(row.routing_key == str(key) for row in lanes)]
    assert len(holders) == 1


def test_a_refused_row_stays_is_counted_and_waits_a_little(db: Database, owner: psycopg.Connection) -> None:
    append(db, new_row(), new_row())
    refused, taken = due(db)

    with db.moving_transaction() as tx:
        outbox.put_back(tx, [refused.id], seconds=60)
        assert outbox.settle(tx, [taken.id]) == 1

    assert due(db) == []
    assert owner.execute("SELECT id, refusals FROM outbox").fetchall() == [(refused.id, 1)]


def test_the_depth_tells_due_waiting_and_refused_apart(db: Database, owner: psycopg.Connection) -> None:
    append(db, new_row(), new_row(), new_row(not_before=datetime.now(UTC) + timedelta(hours=1)))
    owner.execute(
        "UPDATE outbox SET refusals = 1, due_at = due_at - interval '90 seconds' WHERE id = %s", [due(db)[0].id]
    )

    with db.system_transaction() as tx:
        depth = outbox.depth(tx)

    assert (depth.due, depth.waiting, depth.refused) == (2, 1, 1)
    assert 90 <= depth.oldest_due_seconds < 120


def test_what_is_rolled_back_was_never_queued(db: Database, book: Book) -> None:
    with psycopg.connect(book.owner_url) as undecided:
        outbox.insert(undecided, [new_row(), new_row()])
        undecided.rollback()

    assert due(db) == []


def new_row(key: UUID | None = None, not_before: datetime | None = None) -> NewRow:
    return NewRow(
        tenant_id=None,
        message_id=uuid4(),
        kind="test",
        exchange="",
        routing_key=str(key),
        ordering_key=key,
        attempt=1,
        not_before=not_before,
        body=b"{}",
    )


def append(db: Database, *rows: NewRow) -> None:
    with db.system_transaction() as tx:
        outbox.insert(tx, rows)


def due(db: Database) -> list[DueRow]:
    with db.system_transaction() as tx:
        return outbox.due(tx, EVERY_LANE, not_older_than=None, limit=500)


def claim(tx: Tx, *, at_most: int) -> list[DueRow]:
    lanes = outbox.lock_lanes(tx, at_most=at_most, starting_with=0)
    return outbox.due(tx, lanes, not_older_than=None, limit=500)


def settle_all(db: Database) -> None:
    with db.moving_transaction() as tx:
        rows = outbox.due(tx, EVERY_LANE, not_older_than=None, limit=500)
        outbox.settle(tx, [row.id for row in rows])
