"""The pool, and the only ways into the database: transaction(tenant), system_transaction(), moving_transaction() and
ops_transaction().

A process logs in as a role that may do nothing. Each transaction becomes a role first (fleet_tenant with one tenant
set, fleet_system, fleet_mover or fleet_ops), and these settings end with the transaction (M8). Limits on statements,
locks and idling are set for the connection, so that no forgotten transaction can freeze the queue tables.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from psycopg import Connection, OperationalError, sql
from psycopg import Error as PsycopgError
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from db.notify import Notifier
from db.settings import NOTICE_SILENCE, DatabaseSettings, takes_writes
from messages.ids import TenantId
from messages.runtime.no_calls_in_transaction import transaction_open

Tx = Connection[TupleRow]

# The longest statement of the hot path takes milliseconds; five seconds means something is wrong and a retry is due.
STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 3_000
# Longer than the relay's confirm timeout (outbox/broker/publisher.py), the one place that waits inside a transaction
# (M6).
IDLE_IN_TRANSACTION_TIMEOUT_MS = 20_000

# How long a caller waits for a connection of the pool before it hears that the database is away.
POOL_PATIENCE_SECONDS = 10.0
# The pool doubles its pause between attempts to reconnect until it gives up, and begins anew only with the next caller.
# Left at its five minutes, a process stood for another minute after an outage of one; and one that waited for its whole
# patience stood for seven seconds after a failover. So a caller asks again each second.
RECONNECT_SECONDS = 2.0
ASK_AGAIN_SECONDS = 1.0

_AS_NOBODY = sql.SQL("BEGIN")  # reaches the server and may read nothing
_AS_TENANT = sql.SQL("BEGIN; SET LOCAL ROLE fleet_tenant; SET LOCAL app.tenant_id = {}")
_AS_OPS = sql.SQL("BEGIN; SET LOCAL ROLE fleet_ops")
_AS_MOVER = sql.SQL("BEGIN; SET LOCAL ROLE fleet_mover")
_AS_SYSTEM = sql.SQL("BEGIN; SET LOCAL ROLE fleet_system")


_appended: ContextVar[bool] = ContextVar("appended", default=False)


def ring_after_commit() -> None:
    """Called by db/queue inside a transaction: notify the relay once this has committed, and not if it rolls back."""
    _appended.set(True)


class Database:
    """One pool per process. Make it after a fork, never before: a forked child would share its parent's connections.

    `patience_seconds` is how long a caller waits for a connection; without it, POOL_PATIENCE_SECONDS.
    """

    def __init__(self, settings: DatabaseSettings, *, application: str, patience_seconds: float | None = None) -> None:
        options = (
            f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS} "
            f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS} -c timezone=UTC"
        )
        self._pool: ConnectionPool[Tx] = ConnectionPool(
            settings.database_url.get_secret_value(),
            kwargs={"autocommit": True, "application_name": application, "options": options, **NOTICE_SILENCE},
            min_size=1,
            max_size=settings.database_pool_size,
            timeout=patience_seconds or POOL_PATIENCE_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            open=True,
        )
        self._ringer = Notifier(settings)

    def close(self) -> None:
        self._ringer.close()
        self._pool.close()

    @contextmanager
    def transaction(self, tenant_id: TenantId) -> Iterator[Tx]:
        """One short transaction that sees and writes the rows of one tenant.

        Raises:
            psycopg.OperationalError: the database is away, or a timeout was hit; nothing was written, unless the
                connection broke during COMMIT itself: then the caller's guards must make a second run harmless.
        """
        with self._begin(_AS_TENANT.format(sql.Literal(str(tenant_id)))) as tx:
            yield tx

    @contextmanager
    def system_transaction(self, *, statement_seconds: int | None = None) -> Iterator[Tx]:
        """One short transaction of the platform: reads across tenants, moves messages, cannot write money.

        `statement_seconds` is for a look at everything, which may take longer than a statement of the hot path.
        """
        with self._begin(_AS_SYSTEM) as tx:
            _allow(tx, statement_seconds)
            yield tx

    @contextmanager
    def moving_transaction(self) -> Iterator[Tx]:
        """One transaction of the relay: it reads, postpones and deletes outbox rows, and sees no payment."""
        with self._begin(_AS_MOVER) as tx:
            yield tx

    @contextmanager
    def ops_transaction(self, *, statement_seconds: int | None = None) -> Iterator[Tx]:
        """One short transaction of an operator: reads everything as it is stored, cannot write money.

        `statement_seconds` is for a report over everything, which may take longer than a statement of the hot path.
        """
        with self._begin(_AS_OPS) as tx:
            _allow(tx, statement_seconds)
            yield tx

    @contextmanager
    def _begin(self, begin: sql.SQL | sql.Composed, *, patience_seconds: float | None = None) -> Iterator[Tx]:
        connection = self._borrow(begin, patience_seconds)
        _appended.set(False)
        try:
            with transaction_open():
                yield connection
            connection.commit()
        except ReadOnlySqlTransaction as error:  # became a standby, past what the connection was told of it
            connection.close()
            raise OperationalError(f"the database is away: here it can only be read ({error})") from error
        except BaseException:
            if not connection.closed:
                connection.rollback()
            raise
        finally:
            self._pool.putconn(connection)
        if _appended.get():
            self._ringer.ring()

    def _borrow(self, begin: sql.SQL | sql.Composed, patience_seconds: float | None) -> Tx:
        """A connection that is inside its transaction; BEGIN, role and tenant travel in one round trip.

        After a restart of the server the pool still holds connections that are dead, and after a failover such that
        lead to a server which is the primary no more: its rows are old, and it takes none. Nothing of the caller's was
        sent on them yet, so they are given back (the pool drops them) and the next one is tried.
        """
        for _ in range(self._pool.max_size):
            connection = self._wait_for_one(patience_seconds or self._pool.timeout)
            try:
                connection.execute(begin)
                if takes_writes(connection):
                    return connection
                connection.close()
            except OperationalError:
                pass
            except PsycopgError:  # a role that was not granted: no other connection would fare better
                self._pool.putconn(connection)
                raise
            self._pool.putconn(connection)
        raise OperationalError("the database is away: no connection of the pool could begin a transaction")

    def _wait_for_one(self, patience_seconds: float) -> Tx:
        until = time.monotonic() + patience_seconds
        while True:
            left = max(until - time.monotonic(), 0.001)
            try:
                return self._pool.getconn(min(left, ASK_AGAIN_SECONDS))
            except PoolTimeout:
                if left <= ASK_AGAIN_SECONDS:
                    raise PoolTimeout(f"couldn't get a connection after {patience_seconds:.0f} s") from None

    def wait_until_reachable(self, *, seconds: float) -> None:
        """Return when a statement runs, or raise the last OperationalError after `seconds`."""
        reached = Retrying(
            retry=retry_if_exception_type(OperationalError),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            stop=stop_after_delay(seconds),
            reraise=True,
        )
        for attempt in reached:
            with attempt, self._begin(_AS_NOBODY, patience_seconds=min(seconds, POOL_PATIENCE_SECONDS)) as tx:
                tx.execute("SELECT 1")


def _allow(tx: Tx, statement_seconds: int | None) -> None:
    """Longer statements, until the transaction ends."""
    if statement_seconds is not None:
        tx.execute("SELECT set_config('statement_timeout', %(limit)s, true)", {"limit": f"{statement_seconds}s"})
