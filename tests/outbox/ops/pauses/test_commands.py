"""Holding back a tenant or a venue from the command line: logged, listed, lifted once."""

from uuid import uuid4

import psycopg
import pytest

from db.operators import log as operator_log
from db.session import Database
from tests import factories
from tests.outbox.ops.conftest import Fleet


def test_a_pause_is_added_listed_and_lifted_and_the_log_says_by_whom(
    fleet: Fleet, db: Database, owner: psycopg.Connection
) -> None:
    tenant = factories.tenant(owner)

    added = fleet("pause", "add", "--tenant", tenant.tenant_id, "--reason", "a bot buys it all", "--json").json
    listed = fleet("pause", "list", "--json").json["pauses"]
    shown = fleet("pause", "list").out
    lifted = fleet("pause", "lift", added["pause_id"], "--reason", "the bot is gone")
    again = fleet("pause", "lift", added["pause_id"], "--reason", "once more")

    assert [(each["pause_id"], each["what"], each["scope"]) for each in listed] == [
        (added["pause_id"], "charges", "tenant")
    ]
    assert "a bot buys it all" in shown
    assert (lifted.code, again.code) == (0, 1)
    assert fleet("pause", "list", "--json").json["pauses"] == []
    assert fleet("pause", "list", "--all", "--json").json["pauses"][0]["lifted_by"] == "ada"
    with db.ops_transaction() as tx:
        entries = [(entry.operator, entry.action, entry.reason) for entry in operator_log.latest(tx, limit=9)]
    assert entries == [("ada", "lift", "the bot is gone"), ("ada", "pause", "a bot buys it all")]


def test_all_tenants_are_paused_by_one_command_and_freed_by_one_while_another_pause_stays(
    fleet: Fleet, owner: psycopg.Connection
) -> None:
    tenants = {str(factories.tenant(owner).tenant_id) for _ in range(3)}
    fleet("pause", "add", "--tenant", min(tenants), "--reason", "a bot buys it all", "--json")

    added = fleet("pause", "add", "--all-tenants", "--what", "all", "--reason", "restore", "--json").json["pause_ids"]
    listed = fleet("pause", "list", "--json").json["pauses"]
    lifted = fleet("pause", "lift", added[0], "--alike", "--reason", "compared with Stripe", "--json").json["pause_ids"]

    assert {each["tenant_id"] for each in listed if each["reason"] == "restore"} == tenants
    assert len(listed) == 4
    assert sorted(lifted) == sorted(added)
    assert [each["reason"] for each in fleet("pause", "list", "--json").json["pauses"]] == ["a bot buys it all"]
    assert fleet("pause", "lift", added[0], "--alike", "--reason", "once more").code == 1


def test_a_venue_is_paused_for_a_while(fleet: Fleet, owner: psycopg.Connection) -> None:
    venue = factories.tenant(owner).venues[0]

    answer = fleet(
        "pause", "add", "--venue", venue.venue_id, "--what", "all", "--for", "2h", "--reason", "police", "--json"
    )

    assert answer.code == 0
    (held,) = fleet("pause", "list", "--json").json["pauses"]
    assert (held["scope"], held["what"], held["venue"]) == ("venue", "all", "The Hall")
    assert 7_000 < held["seconds_left"] <= 7_200


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--reason", "x"], 2),
        (["--tenant", uuid4(), "--venue", uuid4(), "--reason", "x"], 2),
        (["--tenant", uuid4(), "--all-tenants", "--reason", "x"], 2),
        (["--all-tenants", "--reason", "x"], 1),
        (["--tenant", uuid4(), "--what", "refunds", "--reason", "x"], 2),
        (["--tenant", uuid4(), "--for", "ever", "--reason", "x"], 2),
        (["--tenant", uuid4()], 2),
        (["--tenant", uuid4(), "--reason", "x"], 1),
        (["--venue", uuid4(), "--reason", "x"], 1),
    ],
)
def test_a_pause_of_nobody_or_without_a_reason_is_refused(fleet: Fleet, words: list[object], code: int) -> None:
    assert fleet("pause", "add", *words).code == code
