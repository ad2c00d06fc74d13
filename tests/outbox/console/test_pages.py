"""Each page answers, shows what is there, and treats what came from outside as text."""

from typing import Any

import psycopg
import pytest

from db.session import Database
from outbox.ops.console.visit import Room
from tests.outbox.console.scene import Scene


@pytest.fixture
def scene(db: Database, owner: psycopg.Connection, seal: tuple[str, str]) -> Scene:
    return Scene.set(db, owner, seal[0])


def test_every_page_answers_while_nothing_has_happened_yet(as_: Any, room: Room) -> None:
    rita = as_("rita", "reader")

    for path in (
        "/",
        "/live",
        "/dead-letters",
        "/dead-letters/groups",
        "/batches",
        "/approvals",
        "/payments",
        "/queues",
    ):
        assert rita.get(path).status_code == 200, path
    room.watch.look()
    assert "Settled per minute" in rita.get("/").text
    assert "The chain holds" in rita.get("/operator-log").text


def test_every_page_shows_an_ordinary_bad_day(as_: Any, room: Room, scene: Scene) -> None:
    scene.sale(30)
    scene.aftermath()
    letter = scene.dead_charge(with_history=True)
    room.watch.look()
    rita = as_("rita", "reader")

    overview = rita.get("/").text
    assert "Depth by queue" in overview
    assert "EUR" in overview
    assert "Stripe answered 503" in rita.get("/dead-letters").text
    assert "/dead-letters?group=" in rita.get("/dead-letters/groups").text
    detail = rita.get(f"/dead-letters/{letter}").text
    assert "gateway.py" in detail
    assert "Run 3" in detail
    assert "charges" in rita.get("/queues").text
