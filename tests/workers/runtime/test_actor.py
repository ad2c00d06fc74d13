"""What every handler has in common: whatever it raises ends as a row, in one transaction, and nothing is lost (M5)."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from loguru import logger

from db import session
from db.session import Database
from messages.ids import PaymentId, TenantId
from messages.payments import ChargeRequested
from messages.queues import ROUTES
from messages.verdicts import GiveUp, TryAgain, TryLater
from outbox.append import Envelope, new_envelope
from stripe_client.gateway import Gateway
from tests.conftest import Book
from workers.runtime import retries as afterwards
from workers.runtime.actor import Actor, envelope_of, run
from workers.runtime.by_need import with_gateway
from workers.runtime.retries import NotWrittenDownError

ROUTE = ROUTES[ChargeRequested]
MESSAGE = ChargeRequested(tenant_id=TenantId(uuid4()), payment_id=PaymentId(uuid4()))
CARD = "4242424242424242"


def test_a_handler_that_returns_leaves_no_row(db: Database, owner: psycopg.Connection) -> None:
    deliver(db, None)

    assert (retries(owner), failures(owner), letters(owner)) == ([], [], [])


def test_try_again_is_a_row_in_the_outbox_with_a_due_time_and_a_row_of_the_failure(
    db: Database, owner: psycopg.Connection
) -> None:
    envelope = deliver(db, TryAgain("the object is locked"))

    [retry] = retries(owner)
    assert (retry["message_id"], retry["run"], retry["attempt"]) == (envelope.message_id, 2, 2)
    assert retry["payload"] == MESSAGE.model_dump(mode="json")
    assert 0 <= retry["waits_seconds"] <= ROUTE.patience.backoff_base_seconds * 2
    assert failures(owner) == [(envelope.message_id, 1, 1, "try_again", "TryAgain", "the object is locked")]


def test_try_later_waits_as_long_as_it_says_and_spends_no_try(db: Database, owner: psycopg.Connection) -> None:
    deliver(db, TryLater("rate limited", seconds=3600))

    [retry] = retries(owner)
    assert (retry["run"], retry["attempt"]) == (2, 1)
    assert 3590 <= retry["waits_seconds"] <= 3600 * 1.2


def test_the_backoff_grows_and_stays_under_its_ceiling(db: Database, owner: psycopg.Connection) -> None:
    for _ in range(25):
        deliver(db, TryAgain("again"), attempt=ROUTE.patience.tries - 1)

    waits = [retry["waits_seconds"] for retry in retries(owner)]
    assert max(waits) <= ROUTE.patience.backoff_ceiling_seconds
    assert max(waits) > 30  # full jitter below 300 s: all 25 under 30 s would be one chance in 10^25


def test_an_unknown_exception_is_tried_again(db: Database, owner: psycopg.Connection) -> None:
    deliver(db, ZeroDivisionError("division by zero"))

    [(_, _, _, verdict, error_class, reason)] = failures(owner)
    assert (verdict, error_class, reason) == ("try_again", "ZeroDivisionError", "division by zero")
    assert len(retries(owner)) == 1


def test_give_up_is_a_dead_letter_with_reason_payload_and_history(db: Database, owner: psycopg.Connection) -> None:
    envelope = deliver(db, GiveUp("mend the request before a replay"), attempt=3)

    assert retries(owner) == []
    [letter] = letters(owner)
    assert letter["reason"] == "mend the request before a replay"
    assert (letter["source"], letter["kind"], letter["state"]) == ("worker", "charge", "open")
    assert (letter["tenant_id"], letter["payment_id"]) == (MESSAGE.tenant_id, MESSAGE.payment_id)
    assert orjson.loads(letter["payload"]) == MESSAGE.model_dump(mode="json")
    assert failures(owner)[0][:4] == (envelope.message_id, 1, 3, "give_up")


def test_the_last_try_ends_as_a_dead_letter_that_tells_the_last_error(db: Database, owner: psycopg.Connection) -> None:
    deliver(db, TryAgain("no answer"), attempt=ROUTE.patience.tries)

    assert retries(owner) == []
    assert letters(owner)[0]["reason"] == f"{ROUTE.patience.tries} tries used up, the last failed with: no answer"


def test_try_later_goes_on_when_all_tries_are_spent_but_not_past_the_age(
    db: Database, owner: psycopg.Connection
) -> None:
    deliver(db, TryLater("wait", seconds=1), attempt=ROUTE.patience.tries)
    assert len(retries(owner)) == 1

    deliver(db, TryLater("wait", seconds=1), age_seconds=ROUTE.patience.max_age_seconds + 1)

    assert len(retries(owner)) == 1
    assert "and still failing: wait" in letters(owner)[0]["reason"]


def test_a_redelivery_after_the_commit_appends_no_second_retry(db: Database, owner: psycopg.Connection) -> None:
    envelope = deliver(db, TryAgain("once"))

    deliver(db, TryAgain("once more"), envelope=envelope)

    assert len(retries(owner)) == 1
    assert len(failures(owner)) == 1


def test_a_redelivery_after_giving_up_is_the_same_dead_letter(db: Database, owner: psycopg.Connection) -> None:
    envelope = deliver(db, GiveUp("no"))

    deliver(db, GiveUp("no"), envelope=envelope)

    assert len(letters(owner)) == 1


@pytest.mark.parametrize("payload", [{}, {"tenant_id": "x", "payment_id": 1}, {"card": CARD}])
def test_a_payload_that_is_no_message_is_a_dead_letter_and_the_handler_never_sees_it(
    db: Database, owner: psycopg.Connection, payload: dict[str, Any]
) -> None:
    seen: list[object] = []

    run(Actor(ChargeRequested, lambda *given: seen.append(given)), payload, new_envelope(), db, None)  # type: ignore[arg-type]

    assert seen == []
    [letter] = letters(owner)
    assert "the payload is no ChargeRequested" in letter["reason"]
    assert CARD not in letter["payload"]


def test_a_payload_that_is_no_message_is_told_in_the_log_once_without_its_content(db: Database) -> None:
    lines: list[tuple[str, dict[str, Any]]] = []
    sink = logger.add(lambda line: lines.append((line.record["message"], line.record["extra"])))
    envelope = new_envelope()

    run(Actor(ChargeRequested, lambda *_: None), {"card": CARD}, envelope, db, None)  # type: ignore[arg-type]

    logger.remove(sink)
    [(said, about)] = lines
    assert said == "gave up: the payload is no ChargeRequested: 3 fields are wrong"
    assert (about["message_id"], about["actor"]) == (envelope.message_id, "charge")


@pytest.mark.parametrize("error", [GiveUp(f"card {CARD}"), TryAgain(f"card {CARD}"), ValueError(f"card {CARD}")])
def test_no_card_number_of_an_error_is_written_down(db: Database, owner: psycopg.Connection, error: Exception) -> None:
    deliver(db, error, attempt=ROUTE.patience.tries)
    deliver(db, error)

    written = owner.execute("SELECT reason FROM message_failures UNION ALL SELECT reason FROM dead_letters").fetchall()
    assert written
    assert not [reason for (reason,) in written if CARD in reason]


def test_an_error_with_a_nul_or_a_very_long_text_is_written_down(db: Database, owner: psycopg.Connection) -> None:
    deliver(db, GiveUp("a\x00b" + "x" * 100_000))

    assert letters(owner)[0]["reason"].startswith("a\\x00bxxx")
    assert len(letters(owner)[0]["reason"]) < 2_000


def test_while_the_database_is_away_the_message_is_held_and_then_written_down(
    book: Book, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch,
    database_away: Callable[[], AbstractContextManager[None]],
) -> None:  # fmt: skip
    monkeypatch.setattr(session, "POOL_PATIENCE_SECONDS", 0.1)
    db = Database(book.settings, application="test")
    with database_away():
        worker = threading.Thread(target=deliver, args=(db, TryAgain("no answer")), daemon=True)
        worker.start()
        time.sleep(0.5)
        assert worker.is_alive()
    worker.join(15)
    db.close()

    assert not worker.is_alive()
    assert len(retries(owner)) == 1


def test_a_database_that_stays_away_gives_the_message_back_to_the_broker(
    book: Book, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch,
    database_away: Callable[[], AbstractContextManager[None]],
) -> None:  # fmt: skip
    monkeypatch.setattr(session, "POOL_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(afterwards, "DATABASE_PATIENCE_SECONDS", 0.3)
    db = Database(book.settings, application="test")

    with database_away(), pytest.raises(NotWrittenDownError):
        deliver(db, TryAgain("no answer"))

    db.close()
    assert retries(owner) == []


def test_a_message_that_did_not_come_through_our_relay_gets_a_sound_envelope() -> None:
    message_id = uuid4()

    envelope = envelope_of(str(message_id), {})

    assert (envelope.message_id, envelope.run, envelope.attempt) == (message_id, 1, 1)
    assert len(envelope.trace_id) == 32
    assert abs(envelope.first_appended_ms / 1000 - time.time()) < 5


def deliver(
    db: Database, error: Exception | None, *, attempt: int = 1, age_seconds: float = 0, envelope: Envelope | None = None
) -> Envelope:
    """One delivery of MESSAGE to a handler that raises `error`."""
    first_ms = int((datetime.now(UTC).timestamp() - age_seconds) * 1000)
    envelope = envelope or Envelope(uuid4(), 1, attempt, "0" * 31 + "1", first_ms)

    def handler(*_: object) -> None:
        if error is not None:
            raise error

    run(Actor(ChargeRequested, handler), MESSAGE.model_dump(mode="json"), envelope, db, None)  # type: ignore[arg-type]
    return envelope


def retries(owner: psycopg.Connection) -> list[dict[str, Any]]:
    rows = owner.execute(
        "SELECT message_id, body, extract(epoch FROM due_at - clock_timestamp())::float8 FROM outbox ORDER BY id"
    ).fetchall()
    return [retry_of(message_id, orjson.loads(body), waits) for message_id, body, waits in rows]


def retry_of(message_id: UUID, body: dict[str, Any], waits: float) -> dict[str, Any]:
    numbers = {"run": body["options"]["run"], "attempt": body["options"]["attempt"]}
    return {"message_id": message_id, "payload": body["kwargs"]["payload"], "waits_seconds": max(0.0, waits)} | numbers


def failures(owner: psycopg.Connection) -> list[tuple[Any, ...]]:
    return owner.execute(
        "SELECT message_id, run, attempt, verdict, error_class, reason FROM message_failures ORDER BY failed_at"
    ).fetchall()


def letters(owner: psycopg.Connection) -> list[dict[str, Any]]:
    with owner.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute("SELECT * FROM dead_letters ORDER BY died_at").fetchall()


def test_an_actor_gets_a_gateway_only_if_its_handler_asks_for_one(db: Database, gateway: Gateway) -> None:
    seen: list[tuple[object, ...]] = []

    with_gateway(lambda message, database: seen.append((message, database)))(MESSAGE, db, gateway)
    with_gateway(lambda message, database, stripe: seen.append((message, database, stripe)))(MESSAGE, db, gateway)

    assert seen == [(MESSAGE, db), (MESSAGE, db, gateway)]


def test_a_handler_that_nobody_could_call_is_refused_at_its_import() -> None:
    with pytest.raises(AssertionError, match="takes a message, the database and"):
        with_gateway(lambda message: None)
