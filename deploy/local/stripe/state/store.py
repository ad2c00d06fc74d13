"""One SQLite file, one writer, one transaction a request.

WAL with synchronous=NORMAL: a commit is in the kernel before the answer leaves, so a kill -9 of this process loses
nothing that was answered (a power cut may, which a local emulator does not defend against).
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from ..wire.errors import Json
from . import schema

# Which field of an object fills which column, so that lists can filter without opening the JSON.
_CUSTOMER = frozenset({"payment_intent", "charge", "payment_method"})
_PARENT = {
    "charge": "payment_intent",
    "balance_transaction": "source",
    "refund": "charge",
    "dispute": "charge",
    "early_fraud_warning": "charge",
    "transfer": "source_transaction",
    "transfer_reversal": "transfer",
    "application_fee": "charge",
    "fee_refund": "fee",
}
_TYPED = frozenset({"balance_transaction", "payment_method"})
_SEARCHED = frozenset({"payment_intent"})


@dataclass(slots=True)
class Record:
    """An object as stored: `body` is what Stripe shows, `private` what it knows but does not show."""

    account: str
    kind: str
    body: Json
    private: Json = field(default_factory=dict)
    sequence: int = 0

    @property
    def id(self) -> str:
        """Stripe's id of the object."""
        identifier: str = self.body["id"]
        return identifier


class Store:
    """The database, and objects by account, kind and id. Every write belongs inside `transaction`."""

    def __init__(self, path: Path, search_lag_seconds: float) -> None:
        self.search_lag_seconds = search_lag_seconds
        self.rolled_back: list[Callable[[], None]] = []
        path.touch(mode=0o600)  # webhook secrets are in it
        self.connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        self.execute = self.connection.execute
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")
        self.execute("PRAGMA wal_autocheckpoint=4000")
        self.connection.executescript(schema.TABLES)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction; an exception rolls it back, also what others keep in memory of it (`rolled_back`)."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._roll_back()
            raise
        self.execute("COMMIT")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Inside a transaction: what fails in here is undone alone, and the error goes on."""
        self.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK TO attempt")
            raise
        finally:
            self.execute("RELEASE attempt")

    def start_over(self) -> None:
        """Forget what this transaction wrote, but stay inside one: the refusal itself is still to be recorded."""
        self._roll_back()
        self.execute("BEGIN IMMEDIATE")

    def _roll_back(self) -> None:
        self.execute("ROLLBACK")
        for forget in self.rolled_back:
            forget()

    def insert(self, record: Record, changed_at: float) -> Record:
        """Store a new object and give it its sequence: the order in which lists show."""
        body, kind = record.body, record.kind
        cursor = self.execute(
            "INSERT INTO objects (account, kind, id, created, changed_at, customer, parent, type, body, private)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record.account,
                kind,
                body["id"],
                body["created"],
                changed_at,
                body["customer"] if kind in _CUSTOMER else None,
                body[_PARENT[kind]] if kind in _PARENT else None,
                body["type"] if kind in _TYPED else None,
                orjson.dumps(body),
                orjson.dumps(record.private) if record.private else None,
            ),
        )
        record.sequence = cursor.lastrowid or 0
        self._index_terms(record)
        return record

    def save(self, record: Record, changed_at: float) -> None:
        """Store a changed object. What search has had time to see of it is kept until it has seen the change."""
        body = record.body
        self.execute(
            "UPDATE objects SET"
            " searchable = CASE WHEN changed_at <= ? AND kind = 'payment_intent' THEN body ELSE searchable END,"
            " body = ?, private = ?, changed_at = ?, customer = ? WHERE sequence = ?",
            (
                changed_at - self.search_lag_seconds,
                orjson.dumps(body),
                orjson.dumps(record.private) if record.private else None,
                changed_at,
                body["customer"] if record.kind in _CUSTOMER else None,
                record.sequence,
            ),
        )

    def reindex(self, record: Record) -> None:
        """Terms are only ever added: search compares candidates with the version it shows."""
        self._index_terms(record)

    def _index_terms(self, record: Record) -> None:
        if record.kind in _SEARCHED and record.body["metadata"]:
            terms = [(search_term(record.account, k, v), record.sequence) for k, v in record.body["metadata"].items()]
            self.connection.executemany("INSERT OR IGNORE INTO search_terms (term, sequence) VALUES (?, ?)", terms)

    def find(self, account: str, kind: str, identifier: str) -> Record | None:
        """The object of this kind and id in this account, or None."""
        row = self.execute(
            "SELECT kind, body, private, sequence FROM objects WHERE id = ? AND account = ?", (identifier, account)
        ).fetchone()
        if row is None or row[0] != kind:
            return None
        return Record(account, kind, orjson.loads(row[1]), orjson.loads(row[2]) if row[2] else {}, row[3])

    def find_anywhere(self, kind: str, identifier: str) -> Record | None:
        """In whatever account it is: ids of made objects are never given twice."""
        row = self.execute(
            "SELECT account, body, private, sequence FROM objects WHERE id = ? AND kind = ?", (identifier, kind)
        ).fetchone()
        if row is None:
            return None
        return Record(row[0], kind, orjson.loads(row[1]), orjson.loads(row[2]) if row[2] else {}, row[3])

    def children(self, parent: Record, kind: str) -> list[Record]:
        """The refunds, disputes, warnings or transfers of a charge, oldest first."""
        rows = self.execute(
            "SELECT body, private, sequence FROM objects WHERE parent = ? AND kind = ? AND account = ?"
            " ORDER BY sequence",
            (parent.id, kind, parent.account),
        ).fetchall()
        return [
            Record(parent.account, kind, orjson.loads(body), orjson.loads(private) if private else {}, sequence)
            for body, private, sequence in rows
        ]

    def delete(self, record: Record) -> None:
        """Remove an object; only webhook endpoints are."""
        self.execute("DELETE FROM objects WHERE sequence = ?", (record.sequence,))

    def setting(self, name: str) -> Any:
        """A value by name, or None."""
        row = self.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return orjson.loads(row[0]) if row else None

    def save_setting(self, name: str, value: Any) -> None:
        """Store a value that JSON can hold."""
        self.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, orjson.dumps(value)))

    def empty(self, names: Iterable[str] = schema.NAMES) -> None:
        """Remove every row of these tables."""
        for name in names:
            self.execute(f"DELETE FROM {name}")


def search_term(account: str, key: str, value: str) -> str:
    """The key of one metadata entry in the search index."""
    return f"{account}\x1f{key}\x1f{value}"
