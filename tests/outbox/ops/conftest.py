"""What the tests of the ops room share: a way to run `fleet` as an operator, and dead letters of every kind."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner, Result

from db.dead_letters import dead_letters, replay_batches
from db.dead_letters.dead_letters import DeadLetter
from db.payments.payments import Payment
from db.queue import failed_runs
from db.queue.failed_runs import FailedRun
from db.session import Database
from deploy.cli import app
from outbox.sealing import new_pair
from tests.conftest import Book


@dataclass(frozen=True)
class Answer:
    """What a command said and how it left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Fleet = Callable[..., Answer]


@pytest.fixture
def fleet(book: Book, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """Run `fleet` with these words, against this test's database."""
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("DATABASE_URL", book.fleet_url)
    monkeypatch.setenv("DATABASE_POOL_SIZE", "2")
    public, private = new_pair()
    monkeypatch.setenv("DEAD_LETTER_PUBLIC_KEY", public)
    monkeypatch.setenv("DEAD_LETTER_PRIVATE_KEY", private)
    monkeypatch.setenv("FLEET_OPERATOR", "ada")

    def run(*words: object, answer: str | None = None) -> Answer:
        result: Result = CliRunner().invoke(app, list(map(str, words)), input=answer)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


def bury(db: Database, payment: Payment | None = None, **changes: Any) -> UUID:
    """A dead letter: a charge that used up its tries, unless the rest matters. Returns its id."""
    body = {"tenant_id": str(payment.tenant_id), "payment_id": str(payment.payment_id)} if payment else {"n": 1}
    fields: dict[str, Any] = {
        "source": "worker",
        "reason": "12 tries used up, the last failed with: Stripe answered 503",
        "payload": json.dumps(body),
        "original": uuid4().bytes,
        "message_id": str(uuid4()),
        "kind": "charge",
        "tenant_id": payment.tenant_id if payment else None,
        "payment_id": payment.payment_id if payment else None,
    }
    with db.system_transaction() as tx:
        assert dead_letters.bury(tx, DeadLetter(**(fields | changes)))
        row = tx.execute("SELECT dead_letter_id FROM dead_letters ORDER BY died_at DESC LIMIT 1").fetchone()
    assert row is not None
    letter: UUID = row[0]
    return letter


def fail(db: Database, payment: Payment, message_id: UUID, run: int, reason: str) -> None:
    """A failed run of a message about a payment."""
    with db.system_transaction() as tx:
        failure = FailedRun(
            tenant_id=payment.tenant_id,
            message_id=message_id,
            run=run,
            attempt=run,
            kind="charge",
            payment_id=payment.payment_id,
            verdict="give_up",
            error_class="TryAgain",
            reason=reason,
            next_due_at=None,
        )
        assert failed_runs.record(tx, failure)


def classify(db: Database, batch_id: object, class_: str, *, amount_minor: int = 4200, currency: str = "eur") -> None:
    """What the worker does that is not here: every letter of the batch gets this class, and the batch is previewed."""
    with db.system_transaction() as tx:
        for letter in replay_batches.unclassified(tx, UUID(str(batch_id)), limit=1000):
            replay_batches.classify(
                tx,
                UUID(str(batch_id)),
                letter,
                class_=class_,
                proof=f"seen: {class_}",
                amount_minor=amount_minor,
                currency=currency,
            )
        assert replay_batches.move(tx, UUID(str(batch_id)), leaving=("classifying",), to="previewed")
