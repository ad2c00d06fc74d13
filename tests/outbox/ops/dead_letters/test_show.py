"""Finding and understanding dead letters from the command line."""

from uuid import uuid4

import psycopg
import pytest

from db.dead_letters import states
from db.session import Database
from outbox.ops.dead_letters.explanations import CAUSES, CLASSES
from tests import factories
from tests.conftest import ROOT
from tests.outbox.ops.conftest import Fleet, bury, classify, fail


def test_an_empty_desk_lists_nothing_and_is_well(fleet: Fleet) -> None:
    assert fleet("dlq", "list").code == 0
    assert fleet("dlq", "list", "--json").json == {"total": 0, "letters": []}
    assert fleet("dlq", "group", "--json").json == {"groups": []}


@pytest.mark.parametrize(
    "words",
    [
        ["--kind", "webhook"],
        ["--cause", "killed_worker"],
        ["--source", "broker"],
        ["--text", "out of MEMORY"],
    ],
)
def test_each_filter_finds_its_own_letters_only(fleet: Fleet, db: Database, words: list[str]) -> None:
    bury(db)
    wanted = bury(db, kind="webhook", cause="killed_worker", source="broker", reason="ran out of memory")

    found = fleet("dlq", "list", *words, "--json").json

    assert [letter["dead_letter_id"] for letter in found["letters"]] == [str(wanted)]


def test_letters_are_found_by_payment_tenant_age_and_id(fleet: Fleet, db: Database, owner: psycopg.Connection) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    bury(db)
    wanted = bury(db, payment)

    for words in (["--payment", payment.payment_id], ["--tenant", payment.tenant_id], [wanted]):
        assert fleet("dlq", "list", *words, "--json").json["total"] == 1
    assert fleet("dlq", "list", "--older-than", "1h", "--json").json["total"] == 0
    assert fleet("dlq", "list", "--older-than", "0s", "--json").json["total"] == 2


def test_a_limit_shows_how_many_more_there_are(fleet: Fleet, db: Database) -> None:
    for _ in range(3):
        bury(db)

    answer = fleet("dlq", "list", "--limit", 2)

    assert "2 dead letters of 3" in answer.err


@pytest.mark.parametrize("words", [["--cause", "bad_luck"], ["--state", "gone"], ["--older-than", "soon"], ["no-uuid"]])
def test_a_filter_that_cannot_be_is_wrong_use(fleet: Fleet, words: list[str]) -> None:
    assert fleet("dlq", "list", *words).code == 2


def test_dead_letters_with_the_same_failure_cause_are_one_group(fleet: Fleet, db: Database) -> None:
    for _ in range(2):
        bury(db, cause="tries_used_up", error_class="TryAgain", top_frame="workers/payments/charge.py:charge")
    bury(db, cause="gave_up")

    groups = fleet("dlq", "group", "--json").json["groups"]

    assert [(group["letters"], group["cause"]) for group in groups] == [(2, "tries_used_up"), (1, "gave_up")]
    key = groups[0]["group_key"]
    assert fleet("dlq", "list", "--group", key, "--json").json["total"] == 2


def test_one_letter_shows_payload_history_and_what_can_be_done(
    fleet: Fleet, db: Database, owner: psycopg.Connection
) -> None:
    payment, message_id = factories.requested(db, factories.tenant(owner)), uuid4()
    fail(db, payment, message_id, 1, "Stripe answered 503")
    letter = bury(db, payment, message_id=str(message_id), cause="tries_used_up", headers={"attempt": 12})

    shown = fleet("dlq", "show", letter)
    document = fleet("dlq", "show", letter, "--json").json

    assert shown.code == 0
    for piece in ("tries used up", "Stripe answered 503", "fleet dlq preview", str(payment.payment_id), "attempt"):
        assert piece in shown.out
    assert document["payload"] == {"tenant_id": str(payment.tenant_id), "payment_id": str(payment.payment_id)}
    assert document["history"][0]["reason"] == "Stripe answered 503"
    assert any("fleet dlq edit" in (step["command"] or "") for step in document["next"])


def test_the_payload_alone_can_be_piped_into_an_editor(fleet: Fleet, db: Database) -> None:
    assert fleet("dlq", "show", bury(db), "--payload").json == {"n": 1}


def test_an_unknown_dead_letter_or_batch_is_reported_in_one_sentence(fleet: Fleet) -> None:
    nobody = uuid4()
    assert (fleet("dlq", "show", nobody).code, fleet("dlq", "batches", nobody).code) == (1, 1)
    assert fleet("dlq", "show", nobody).err == f"Dead letter {nobody} not found.\n"


def test_what_comes_from_outside_is_redacted_and_cannot_paint_the_terminal(fleet: Fleet, db: Database) -> None:
    letter = bury(
        db,
        source="orders",
        kind=None,
        reason="card 4242 4242 4242 4242 [red]refused[/red]",
        payload='\x1b[2J{"email": "jane@example.com"',
        headers={"note": "key sk_live_abcdefghij1234"},
    )

    for words in (["dlq", "list"], ["dlq", "show", letter], ["dlq", "show", letter, "--json"], ["dlq", "group"]):
        out = fleet(*words).out
        assert "4242 4242" not in out
        assert "jane@" not in out
        assert "abcdefghij1234" not in out
        assert "\x1b" not in out
    assert "[red]refused[/red]" in fleet("dlq", "show", letter).out


def test_every_cause_and_class_of_the_database_has_words(owner: psycopg.Connection) -> None:
    def allowed(table: str, column: str) -> set[str]:
        rows = owner.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [f"{table}_{column}_check"]
        ).fetchone()
        assert rows is not None
        return {word for word in rows[0].split("'") if word.replace("_", "").isalpha() and word.islower()}

    assert allowed("dead_letters", "cause") == set(CAUSES) == set(states.CAUSES)
    assert allowed("replay_items", "class") == set(CLASSES)


def test_the_runbook_explains_every_cause_and_class() -> None:
    runbook = (ROOT / "deploy" / "runbooks" / "dead-letters.md").read_text()
    for code in (*CAUSES, *CLASSES):
        assert f"| `{code}` |" in runbook


def test_a_batch_shows_its_letters_one_by_one(fleet: Fleet, db: Database) -> None:
    letter = bury(db)
    batch = _previewed(fleet, db)

    one = fleet("dlq", "batches", batch, "--json").json

    assert one["batches"][0]["state"] == "previewed"
    assert one["batches"][0]["progress"]["total"] == 1
    assert (one["items"][0]["dead_letter_id"], one["items"][0]["class"]) == (str(letter), "safe")
    assert batch in fleet("dlq", "batches").out


def test_the_log_chain_holds_until_somebody_changes_an_entry(
    fleet: Fleet, db: Database, owner: psycopg.Connection
) -> None:
    for _ in range(3):
        fleet("dlq", "discard", bury(db), "--reason", "a test", "--yes")
    whole = fleet("ops", "verify-log", "--json").json
    assert (whole["entries"], whole["first_broken_link"]) == (3, None)
    head = f"3:{whole['head']}"
    assert fleet("ops", "verify-log", "--expect", head).code == 0
    assert fleet("ops", "verify-log", "--expect", "rubbish").code == 2

    owner.execute("ALTER TABLE operator_log DISABLE TRIGGER USER")
    owner.execute("DELETE FROM operator_log WHERE seq = 3")
    assert fleet("ops", "verify-log").code == 0  # nothing in the chain itself shows that its end was cut off
    assert "does not contain the expected entry" in fleet("ops", "verify-log", "--expect", head).err

    owner.execute("UPDATE operator_log SET operator = 'nobody' WHERE seq = 2")

    broken = fleet("ops", "verify-log")
    assert broken.code == 1
    assert "broken at entry 2" in broken.err


def test_the_log_shows_who_did_what_and_why(fleet: Fleet, db: Database) -> None:
    letter = bury(db)
    fleet("dlq", "discard", letter, "--reason", "sent by mistake", "--yes", "--operator", "grace")

    entry = fleet("ops", "log", "--json").json["entries"][0]

    assert (entry["operator"], entry["action"], entry["reason"]) == ("grace", "discard", "sent by mistake")
    assert entry["subject"] == {"letters": [str(letter)]}


def _previewed(fleet: Fleet, db: Database) -> str:
    fleet("dlq", "preview", "--all", "--reason", "a test", "--wait", 0)
    batch = str(fleet("dlq", "batches", "--json").json["batches"][0]["batch_id"])
    classify(db, batch, "safe")
    return batch
