"""The session of one operator command: settings, database and operator; expected errors become one sentence.

Exit codes: 0 done, 1 refused, nothing matched or something failed, 2 usage error, 3 waiting for approval, 69 a service
is unreachable, 78 invalid settings, 130 interrupted.
"""

import getpass
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import typer
from pika.exceptions import AMQPError
from pydantic import Field

from db.session import Database
from db.settings import DatabaseSettings
from messages.runtime.settings import FleetSettings, SettingsError, load, stop_the_start
from outbox.broker.topology import EX_UNAVAILABLE
from outbox.ops.output import plain, said
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError

REFUSED, WAITS_FOR_APPROVAL, INTERRUPTED = 1, 3, 130


class OpsSettings(FleetSettings):
    """From which amount on a second operator must approve; it counts per currency."""

    replay_approval_minor: int = Field(
        default=100_000,
        ge=0,
        description="minor units above which a replay, refund, release or event cancellation needs a second operator",
    )


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator at work. `name` is recorded in the operator log."""

    db: Database
    settings: OpsSettings
    name: str

    @contextmanager
    def transaction(self) -> Iterator[OperatorTransaction]:
        """One short ops transaction for a request of this operator; commits at the end of the block, rolls back on an
        exception.
        """
        with self.db.ops_transaction() as tx:
            yield OperatorTransaction(tx, self.name, self.settings.replay_approval_minor)


class LeaveError(Exception):
    """End the command with this exit code and sentence; `troubles` prints it."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@contextmanager
def operator_session(name: str | None = None) -> Iterator[Operator]:
    """The operator of one command; None takes the login name on this machine. Opens a pool, and closes it at the end.

    Raises:
        SettingsError: a setting is missing or wrong.
        psycopg.OperationalError: the database is not reachable within five seconds.
    """
    database, settings = load(DatabaseSettings, OpsSettings)
    # The pool logs every failed connection attempt; one sentence at the end is enough here.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    db = Database(database, application="fleet-ops")
    try:
        db.wait_until_reachable(seconds=5)
        yield Operator(db, settings, name or getpass.getuser())
    finally:
        db.close()


@contextmanager
def troubles() -> Iterator[None]:
    """Around each command, as a decorator: an expected error is printed as one sentence on standard error.

    Raises:
        typer.Exit: with the exit code of the module's list. Unexpected exceptions pass through with their traceback.
    """
    try:
        yield
    except SettingsError as error:
        stop_the_start(error)
    except LeaveError as error:
        _leave(error.code, str(error))
    except RefusedError as error:
        _leave(REFUSED, f"Refused: {error}.")
    except psycopg.ProgrammingError as error:
        _leave(
            EX_UNAVAILABLE, f"The database schema does not match this version: run `fleet migrate`. ({_first(error)})"
        )
    except psycopg.Error as error:
        _leave(EX_UNAVAILABLE, f"The database is unreachable; run `fleet doctor` for details. ({_first(error)})")
    except AMQPError as error:
        _leave(EX_UNAVAILABLE, f"The broker is unreachable; run `fleet doctor` for details. ({_first(error)})")


def _leave(code: int, sentence: str) -> None:
    said().print(plain(sentence))
    raise typer.Exit(code) from None


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
