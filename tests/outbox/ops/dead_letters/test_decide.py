"""Replaying, discarding and editing from the command line: safe by default, and exit codes that scripts can trust."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import UUID

import orjson
import psycopg
import pytest

from db.payments.payments import Payment
from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested
from outbox.sealing import Sealer, SealSettings
from stripe_client.gateway import Gateway
from tests import factories
from tests.outbox.ops.conftest import Fleet, bury, classify
from tests.outbox.ops.scenario import workers_at_work

WHY = ("--reason", "Stripe is back")
Workers = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def sealer(fleet: Fleet) -> Sealer:
    del fleet  # it sets the keys
    return Sealer(SealSettings())


@pytest.fixture
def workers(db: Database, gateway: Gateway, sealer: Sealer) -> Iterator[Workers]:
    yield lambda: workers_at_work(db, gateway, sealer)


def dead_charge(db: Database, payment: Payment, sealer: Sealer) -> UUID:
    """The charge of a payment died before anything was sent."""
    with db.system_transaction() as tx:
        tx.execute("DELETE FROM outbox WHERE ordering_key = %s", [payment.payment_id])
    message = ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id)
    original = orjson.dumps(message.model_dump(mode="json"))
    return bury(db, payment, original=original, sealed=sealer.seal(original), payload=original.decode())


def state_of(owner: psycopg.Connection, letter: UUID) -> str:
    row = owner.execute("SELECT state FROM dead_letters WHERE dead_letter_id = %s", [letter]).fetchone()
    assert row is not None
    return str(row[0])


def batches(fleet: Fleet) -> list[dict[str, object]]:
    found: list[dict[str, object]] = fleet("dlq", "batches", "--json").json["batches"]
    return found


@pytest.mark.parametrize("command", ["preview", "replay", "discard"])
def test_nothing_happens_without_a_filter_or_all(fleet: Fleet, db: Database, command: str) -> None:
    bury(db)

    answer = fleet("dlq", command, *WHY)

    assert answer.code == 2
    assert "--all" in answer.err
    assert batches(fleet) == []


@pytest.mark.parametrize("command", ["preview", "replay", "discard"])
def test_nothing_happens_without_a_reason(fleet: Fleet, db: Database, command: str) -> None:
    bury(db)
    assert fleet("dlq", command, "--all").code == 2
    assert fleet("dlq", command, "--all", "--reason", "  ").code == 2


@pytest.mark.parametrize("command", ["preview", "replay", "discard"])
def test_a_filter_that_matches_nothing_is_refused(fleet: Fleet, command: str) -> None:
    answer = fleet("dlq", command, "--kind", "charge", *WHY, "--yes" if command != "preview" else "--json")
    assert answer.code == 1
    assert "no open dead letter matches" in answer.err


def test_a_filter_and_all_or_a_batch_do_not_go_together(fleet: Fleet, db: Database) -> None:
    letter = bury(db)
    assert fleet("dlq", "replay", letter, "--all", *WHY).code == 2
    assert fleet("dlq", "replay", letter, "--batch", letter, *WHY).code == 2


def test_a_preview_that_no_worker_classifies_says_so_and_leaves(fleet: Fleet, db: Database) -> None:
    bury(db)

    answer = fleet("dlq", "preview", "--all", *WHY, "--wait", 0)

    assert answer.code == 69
    assert "Is a worker running?" in answer.err
    assert batches(fleet)[0]["state"] == "classifying"


def test_a_preview_shows_classes_and_money_and_replays_nothing(
    fleet: Fleet, db: Database, owner: psycopg.Connection, workers: Workers, sealer: Sealer
) -> None:
    payment = factories.requested(db, factories.tenant(owner), amount_minor=4200)
    letter = dead_charge(db, payment, sealer)

    with workers():
        document = fleet("dlq", "preview", "--all", *WHY, "--json").json
        shown = fleet("dlq", "preview", letter, *WHY)

    assert [(total["class"], total["items"]) for total in document["classes"]] == [("safe", 1)]
    assert document["may_move"] == [
        {"tenant_id": str(payment.tenant_id), "currency": "eur", "letters": 1, "amount_minor": 4200}
    ]
    assert document["needs_approval"] is False
    for piece in ("42.00 EUR", "A Promoter", "nothing was ever sent to Stripe", "fleet dlq replay --batch"):
        assert piece in shown.out + shown.err
    assert state_of(owner, letter) == "open"


def test_a_replay_that_is_not_confirmed_replays_nothing(
    fleet: Fleet, db: Database, owner: psycopg.Connection, workers: Workers, sealer: Sealer
) -> None:
    letter = dead_charge(db, factories.requested(db, factories.tenant(owner)), sealer)

    with workers():
        refused = fleet("dlq", "replay", letter, *WHY, answer="n\n")
        unasked = fleet("dlq", "replay", letter, *WHY)

    assert (refused.code, unasked.code) == (1, 1)
    assert "--yes" in unasked.err
    assert state_of(owner, letter) == "open"
    assert [batch["state"] for batch in batches(fleet)] == ["previewed", "previewed"]


def test_a_confirmed_replay_charges_once_and_tells_the_end(
    fleet: Fleet,
    db: Database,
    owner: psycopg.Connection,
    workers: Workers,
    sealer: Sealer,
    stripe_control: EmulatorControl,
) -> None:
    letter = dead_charge(db, factories.requested(db, factories.tenant(owner), amount_minor=4200), sealer)

    with workers():
        answer = fleet("dlq", "replay", letter, *WHY, answer="y\n")
        again = fleet("dlq", "replay", letter, *WHY, "--yes")

    assert answer.code == 0
    assert "1 succeeded, of 1 dead letter" in answer.out
    assert again.code == 1  # nothing is open any more
    assert state_of(owner, letter) == "resolved"
    assert [effect["amount"] for effect in stripe_control.effects()] == [4200]


def test_a_previewed_batch_is_replayed_by_its_id(
    fleet: Fleet, db: Database, owner: psycopg.Connection, workers: Workers, sealer: Sealer
) -> None:
    dead_charge(db, factories.requested(db, factories.tenant(owner)), sealer)

    with workers():
        batch = fleet("dlq", "preview", "--all", *WHY, "--json").json["batch_id"]
        answer = fleet("dlq", "replay", "--batch", batch, "--yes", "--json")

    assert answer.code == 0
    assert answer.json["progress"]["succeeded"] == 1


def test_a_letter_that_fails_again_shows_in_the_exit_code(
    fleet: Fleet, db: Database, owner: psycopg.Connection, workers: Workers, sealer: Sealer
) -> None:
    letter = dead_charge(db, factories.requested(db, factories.tenant(owner)), sealer)
    batch = _judged_batch(fleet, db, "safe", amount_minor=4200)
    with db.system_transaction() as tx:
        tx.execute("UPDATE replay_items SET state = 'failed' WHERE dead_letter_id = %s", [letter])

    with workers():
        answer = fleet("dlq", "replay", "--batch", batch, "--yes")

    assert answer.code == 1
    assert "1 failed again" in answer.err


def test_a_batch_of_which_nothing_may_run_is_refused(fleet: Fleet, db: Database) -> None:
    bury(db)
    batch = _judged_batch(fleet, db, "must_not")

    answer = fleet("dlq", "replay", "--batch", batch, "--yes")

    assert answer.code == 1
    assert "No letter of batch" in answer.err
    assert batches(fleet)[0]["state"] == "previewed"


def test_above_the_money_limit_a_second_person_must_approve(fleet: Fleet, db: Database) -> None:
    bury(db)
    batch = _judged_batch(fleet, db, "safe", amount_minor=100_001)

    started = fleet("dlq", "replay", "--batch", batch, "--yes", "--json")

    assert started.code == 3
    assert started.json == {"batch_id": batch, "state": "awaiting_approval"}
    assert f"fleet dlq approve {batch}" in started.err
    assert fleet("dlq", "approve", batch, "--yes").code == 1
    assert fleet("dlq", "approve", batch, "--operator", "grace").code == 1  # nobody answered the question
    approved = fleet("dlq", "approve", batch, "--operator", "grace", "--yes", "--json")
    assert (approved.code, approved.json["state"]) == (0, "running")
    assert fleet("dlq", "approve", batch, "--operator", "grace", "--yes").code == 1


def test_a_cancelled_batch_leaves_its_letters_open(fleet: Fleet, db: Database, owner: psycopg.Connection) -> None:
    letter = bury(db)
    batch = _judged_batch(fleet, db, "safe")

    assert fleet("dlq", "cancel", batch).code == 2
    assert fleet("dlq", "cancel", batch, *WHY).code == 0
    assert fleet("dlq", "cancel", batch, *WHY).code == 1
    assert state_of(owner, letter) == "open"
    assert fleet("dlq", "replay", "--batch", batch, "--yes", "--wait", 0).code == 1


def test_redirect_takes_a_queue_that_exists(fleet: Fleet, db: Database) -> None:
    bury(db)

    assert fleet("dlq", "redirect", "--all", *WHY).code == 2
    unknown = fleet("dlq", "redirect", "--all", "--to", "chargse", *WHY)
    assert unknown.code == 1
    assert "charges" in unknown.err
    fleet("dlq", "redirect", "--all", "--to", "lookups", *WHY, "--wait", 0)
    assert batches(fleet)[0]["target_queue"] == "lookups"


def test_discarding_asks_and_says_how_many(fleet: Fleet, db: Database, owner: psycopg.Connection) -> None:
    kept, sent_twice = bury(db), bury(db, kind="webhook")

    asked = fleet("dlq", "discard", "--kind", "webhook", *WHY, answer="n\n")
    done = fleet("dlq", "discard", "--kind", "webhook", *WHY, "--yes", "--json")

    assert (asked.code, done.code) == (1, 0)
    assert "Discard 1 dead letter?" in asked.err
    assert done.json == {"discarded": [str(sent_twice)]}
    assert (state_of(owner, kept), state_of(owner, sent_twice)) == ("open", "discarded")


def test_an_edited_letter_goes_on_as_its_successor(
    fleet: Fleet, db: Database, owner: psycopg.Connection, tmp_path: Path
) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    letter, file = bury(db, payment, payload="{}"), tmp_path / "payload.json"
    file.write_text(json.dumps({"tenant_id": str(payment.tenant_id), "payment_id": str(payment.payment_id)}))

    edited = fleet("dlq", "edit", letter, "--payload", file, "--reason", "the field had no value", "--json")

    successor = UUID(edited.json["successor"])
    assert (state_of(owner, letter), state_of(owner, successor)) == ("discarded", "open")
    assert f"fleet dlq show {successor}" in fleet("dlq", "show", letter).out


@pytest.mark.parametrize(
    ("payload", "code", "says"),
    [('{"payment_id": 7}', 1, "the payload is no ChargeRequested"), ("[]", 2, "JSON object"), ("{", 2, "no JSON")],
)
def test_a_payload_that_cannot_be_is_refused(
    fleet: Fleet, db: Database, owner: psycopg.Connection, payload: str, code: int, says: str
) -> None:
    letter = bury(db)

    answer = fleet("dlq", "edit", letter, "--payload", "-", *WHY, answer=payload)

    assert answer.code == code
    assert says in " ".join(answer.err.split())
    assert state_of(owner, letter) == "open"


def test_missing_settings_and_a_database_that_is_away_have_their_own_codes(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://fleet@127.0.0.1:1/fleet")
    away = fleet("dlq", "list")
    monkeypatch.delenv("DATABASE_URL")
    unset = fleet("dlq", "list")

    assert (away.code, unset.code) == (69, 78)
    assert "The database is unreachable" in away.err
    assert "DATABASE_URL is not set" in unset.err


def _judged_batch(fleet: Fleet, db: Database, class_: str, *, amount_minor: int = 4200) -> str:
    """Every open letter in one batch, classified by hand."""
    fleet("dlq", "preview", "--all", *WHY, "--wait", 0)
    batch = str(batches(fleet)[0]["batch_id"])
    classify(db, batch, class_, amount_minor=amount_minor)
    return batch
