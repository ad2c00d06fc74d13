"""An operator's way in and out of a command: settings, database and desk; expected troubles become one sentence.

Exit codes: 0 done, 1 refused, nothing matched or something failed, 2 wrong use, 3 waits for approval, 69 a part of the
world is away, 78 wrong settings, 130 interrupted.
"""

import getpass
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import typer
from pika.exceptions import AMQPError

from db.session import Database
from db.settings import DatabaseSettings
from messages.runtime.settings import SettingsError, load, stop_the_start
from outbox.broker.topology import EX_UNAVAILABLE
from outbox.ops.dead_letters.actions import Operator, OpsSettings, RefusedError
from outbox.ops.output import plain, said

REFUSED, WAITS_FOR_APPROVAL, INTERRUPTED = 1, 3, 130


class LeaveError(Exception):
    """Leave with this exit code and sentence."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@contextmanager
def desk(operator: str | None = None) -> Iterator[Operator]:
    """The desk of this operator, for one command."""
    database, settings = load(DatabaseSettings, OpsSettings)
    # The pool tells every failed try to connect; one sentence at the end is enough here.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    db = Database(database, application="fleet-ops")
    try:
        db.wait_until_reachable(seconds=5)
        yield Operator(db, settings, operator or getpass.getuser())
    finally:
        db.close()


@contextmanager
def troubles() -> Iterator[None]:
    """Around each command: say in one sentence what can be expected to go wrong, and leave with its exit code."""
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
            EX_UNAVAILABLE, f"The database has another schema than this version: run `fleet migrate`. ({_first(error)})"
        )
    except psycopg.Error as error:
        _leave(EX_UNAVAILABLE, f"The database is away: `fleet doctor` tells more. ({_first(error)})")
    except AMQPError as error:
        _leave(EX_UNAVAILABLE, f"The broker is away: `fleet doctor` tells more. ({_first(error)})")


def _leave(code: int, sentence: str) -> None:
    said().print(plain(sentence))
    raise typer.Exit(code) from None


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
