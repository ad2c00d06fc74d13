"""A file that moves takes its dead letters along: one failure is one group, under its path of today and of before."""

from hashlib import md5
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from db import migrate as migrations
from db.dead_letters import dead_letters, replay_batches, views
from db.dead_letters.dead_letters import DeadLetter
from db.dead_letters.views import DeadLetterFilter, DeadLetterGroup
from db.migrate import migrate, shipped
from db.session import Database

ROOT = Path(__file__).resolve().parents[2]
BEFORE, TODAY = "workers/charge.py:charge", "workers/payments/charge.py:charge"


def test_a_letter_of_the_previous_release_and_one_of_this_are_one_group(db: Database) -> None:
    old, new = bury(db, BEFORE), bury(db, TODAY)

    (group,) = groups(db, DeadLetterFilter())

    assert (group.letters, group.top_frame) == (2, TODAY)
    for key in (group.group_key, key_of(BEFORE)):
        assert chosen(db, key) == {old, new}


def test_a_replay_by_the_key_of_before_takes_both(db: Database) -> None:
    bury(db, BEFORE)
    bury(db, TODAY)
    bury(db, "workers/payments/capture.py:capture")

    with db.ops_transaction() as tx:
        _, letters = replay_batches.create(
            tx, DeadLetterFilter(group_key=key_of(BEFORE)), operator="ann", reason="it is well", rate_per_second=1
        )

    assert letters == 2


def test_letters_of_before_the_migration_keep_their_group(bare_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them = shipped()
    monkeypatch.setattr(migrations, "shipped", lambda: [one for one in all_of_them if one.name < "0051"])
    migrate(bare_url)
    with psycopg.connect(bare_url, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO dead_letters (source, kind, reason, payload, payload_sha256, cause, error_class, top_frame) "
            "VALUES ('worker', 'charge', 'r', '{}', sha256('x'), 'gave_up', 'KeyError', %s)",
            [BEFORE],
        )
    monkeypatch.setattr(migrations, "shipped", lambda: all_of_them)

    migrate(bare_url)

    with psycopg.connect(bare_url, autocommit=True) as owner:
        rows = owner.execute("SELECT top_frame, group_key, former_group_keys FROM dead_letters").fetchall()
    assert rows == [(TODAY, key_of(TODAY), [key_of(BEFORE)])]


def test_a_file_that_moves_again_takes_along_what_had_moved_there(db: Database, owner: psycopg.Connection) -> None:
    letters = {bury(db, BEFORE), bury(db, TODAY)}

    owner.execute("SELECT move_source_file('workers/payments/charge.py', 'workers/cards/charge.py')")
    letters.add(bury(db, BEFORE))
    owner.execute("SELECT move_source_file('workers/cards/charge.py:charge', 'workers/cards/charge.py:charge_card')")
    letters.add(bury(db, "workers/cards/charge.py:charge_card"))
    letters.add(bury(db, BEFORE))

    (group,) = groups(db, DeadLetterFilter())
    assert group.top_frame == "workers/cards/charge.py:charge_card"
    for key in (group.group_key, key_of(BEFORE), key_of(TODAY), key_of("workers/cards/charge.py:charge")):
        assert chosen(db, key) == letters


def test_a_function_that_moved_by_itself_is_found_before_its_file(owner: psycopg.Connection) -> None:
    unmoved = "db/refunds/overdue.py:obligations"
    frames = ["db/standstill.py:take_events", "db/standstill.py:forget", unmoved, ""]

    rows = owner.execute("SELECT frame_today(frame) FROM unnest(%s::text[]) AS frame", [frames]).fetchall()

    assert [row[0] for row in rows] == ["db/sweep/wake_ups.py:take", "db/sweep/wake_ups.py:forget", unmoved, ""]


def test_a_letter_that_was_replayed_and_died_in_an_old_worker_stays_in_its_group(db: Database) -> None:
    letter = DeadLetter(source="worker", reason="r", payload="{}", original=b"x", kind="charge", top_frame=TODAY)
    with db.system_transaction() as tx:
        assert dead_letters.bury(tx, letter)
        (row,) = views.find(tx, DeadLetterFilter())
        assert dead_letters.begin_replay(tx, row.dead_letter_id)
        again = DeadLetter(source="worker", reason="r", payload="{}", original=b"x", kind="charge", top_frame=BEFORE)
        assert dead_letters.bury(tx, again)
        (after,) = views.find(tx, DeadLetterFilter())

    assert (after.top_frame, after.group_key, after.deaths) == (TODAY, row.group_key, 2)


def test_every_file_that_moved_is_where_the_table_says(owner: psycopg.Connection) -> None:
    """When this fails, a file has moved on: its migration calls move_source_file(old, new)."""
    rows = owner.execute("SELECT moved_from, moved_to FROM moved_source_files").fetchall()
    at = {moved_from: moved_to.partition(":")[0] for moved_from, moved_to in rows}

    assert {path for path in at.values() if not (ROOT / path).is_file()} == set()
    assert {path for path in at if (ROOT / path).is_file()} == set()


def bury(db: Database, top_frame: str) -> UUID:
    """A charge that gave up there."""
    letter = DeadLetter(
        source="worker",
        reason="no such plan",
        payload="{}",
        original=uuid4().bytes,
        message_id=str(uuid4()),
        kind="charge",
        error_class="KeyError",
        top_frame=top_frame,
    )
    with db.system_transaction() as tx:
        assert dead_letters.bury(tx, letter)
        return views.find(tx, DeadLetterFilter(), limit=1)[0].dead_letter_id


def key_of(top_frame: str) -> str:
    """The key under which a release that knew only this path showed the group."""
    return md5(f"gave_up/KeyError/charge/{top_frame}".encode(), usedforsecurity=False).hexdigest()[:12]


def groups(db: Database, wanted: DeadLetterFilter) -> list[DeadLetterGroup]:
    with db.ops_transaction() as tx:
        return views.groups(tx, wanted)


def chosen(db: Database, key: str) -> set[UUID]:
    with db.ops_transaction() as tx:
        return {letter.dead_letter_id for letter in views.find(tx, DeadLetterFilter(group_key=key))}
