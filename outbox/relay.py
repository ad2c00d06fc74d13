"""The relay: takes due rows from the outbox, publishes them with confirms, settles what the broker took.

One round is one transaction: lock free lanes, read the oldest due rows, publish them as a pipeline, delete the
confirmed ones in one statement (a few batches in a row while there is a backlog), commit. The claim stays open until
the broker has confirmed (the one stated exception to M6, bounded by the confirm timeout). Killed anywhere before the
commit, the rows stay and are published again: consumers are idempotent, so twice is harmless and never is impossible.
Several relays share the lanes. A row that can never be published or settled is set aside, and its neighbours go on.

It never acts on a payload, never decides about retries (a retry is a row with a later due time, written by the actor),
and has a database role that reaches the outbox tables only.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from loguru import logger
from psycopg import Error as DatabaseError
from psycopg import InterfaceError, OperationalError, ProgrammingError

from db.notify import Listener
from db.queue import outbox as outbox_table
from db.session import Database, Tx
from db.settings import DatabaseSettings
from messages.runtime.crash_points import crash_point
from outbox.broker import topology
from outbox.broker.publisher import BrokerAwayError, Outgoing, Publisher
from outbox.broker.settings import BrokerSettings
from outbox.monitoring.checks import broker_check, database_check
from outbox.process.heartbeat import beat
from outbox.process.metrics import RELAY_BATCH_SECONDS, RELAY_PUBLISHED, RELAY_REFUSED
from outbox.process.run import Process, Program, Work
from outbox.process.tracing import record_published

BATCH = 500
# A round takes up to this many batches while there is a backlog: reading, settling and the commit then hide behind the
# confirms. What a crash sends again, and how long a transaction stays open, grow with it.
LONGEST_ROUND = 4
LONGEST_ROUND_SECONDS = 1.0
# The net under the doorbell: a notification that was lost costs at most this.
POLL_SECONDS = 1.0
REFUSED_PAUSE_SECONDS = 5.0
AWAY_PAUSE_SECONDS = 1.0
# A round waits four times ten seconds for confirms at most; the manifest gives it 45.
PATIENCE_SECONDS = 42.0
# After a round, reading starts this far before its last row (db.queue.outbox.due says why). A transaction that commits
# later than that with an older due time is found by the next full look.
LOOK_BACK = timedelta(seconds=3)
FULL_LOOK_SECONDS = 15.0


@dataclass(slots=True)
class _Round:
    """What one transaction did.

    Attributes:
        lanes: the lanes this transaction has locked; rows of one payment are all in one lane.
        started: `time.perf_counter()` at the start, for the duration metric and the limit of a round.
        floor: due time from which the next read of these lanes may start, used only after the commit; None when no row
            was read and the read was not a full one.
        batches: batches that were confirmed and settled.
        rows: rows that were sent, those included which the broker returned or nacked.
        refused: rows that the broker returned or nacked; they stay pending.
    """

    lanes: list[int]
    started: float = field(default_factory=time.perf_counter)
    floor: datetime | None = None
    batches: int = 0
    rows: int = 0
    refused: int = 0

    def count(self, rows: list[outbox_table.DueRow], refused: set[int]) -> None:
        self.floor = rows[-1].due_at - LOOK_BACK
        self.batches += 1
        self.rows += len(rows)
        self.refused += len(refused)


@dataclass(slots=True)
class Relay:
    """One relay process; all its methods run on the main thread.

    `doorbell` waits for the database's notification and counts the running relays. The private fields are memory
    between rounds (where to start among the lanes, how far each lane was read); losing them in a restart costs one full
    read.
    """

    db: Database
    publisher: Publisher
    doorbell: Listener
    stopping: Event = field(default_factory=Event)
    _start_lane: int = 0
    _seen: set[int] = field(default_factory=set)  # lanes looked at since the last sleep
    _may_sleep: bool = False
    _floors: dict[int, datetime] = field(default_factory=dict)
    _full_look_at: float = 0.0

    def run(self) -> None:
        """Publish until asked to stop; an unreachable broker or database is waited out, with a heartbeat each round."""
        while not self.stopping.is_set():
            beat("relay")
            try:
                published = self.run_once()
            except BrokerAwayError as error:
                logger.warning("broker unavailable, outbox rows stay pending: {}", error)
                self.stopping.wait(AWAY_PAUSE_SECONDS)
                continue
            except (OperationalError, InterfaceError) as error:
                logger.warning("database unavailable: {}", type(error).__name__)
                self.stopping.wait(AWAY_PAUSE_SECONDS)
                continue
            except DatabaseError as error:  # not about a row: those are isolated
                logger.error("the database rejects the relay's statements: {}", type(error).__name__)
                self.stopping.wait(AWAY_PAUSE_SECONDS)
                continue
            if published < BATCH and self._may_sleep and not self.stopping.is_set():
                self.doorbell.wait(POLL_SECONDS)
                self._seen.clear()

    def run_once(self) -> int:
        """One round; the transaction commits only after every confirm is in. Returns the number of rows sent, refused
        ones included.

        Raises:
            BrokerAwayError: the broker did not confirm; the transaction is rolled back, so every row of the round stays
                due.
            psycopg.Error: the database is unreachable; rows the broker has already confirmed are published a second
                time later.
        """
        with self.db.moving_transaction() as tx:
            one = self._round(tx)
        self._floors.update(dict.fromkeys(one.lanes, one.floor) if one.floor else {})
        self._note_seen(one.lanes)
        if not one.rows:
            return 0
        crash_point("relay.after_commit")
        RELAY_PUBLISHED.inc(one.rows - one.refused)
        RELAY_REFUSED.inc(one.refused)
        RELAY_BATCH_SECONDS.observe(time.perf_counter() - one.started)
        return one.rows

    def _note_seen(self, lanes: list[int]) -> None:
        """Decide whether to wait for a notification. With other relays running, a round has a part of the lanes only,
        and the notification may have been about any of the rest.

        The relay may wait once it has looked into each lane, or when other relays hold all that are left.
        """
        self._may_sleep = self._seen.issuperset(lanes) or len(self._seen.union(lanes)) == outbox_table.LANES
        self._seen.update(lanes)

    def _round(self, tx: Tx) -> _Round:
        """Batch after batch: while one waits for its confirms, the next is read and the one before is settled."""
        one = _Round(self._lock_lanes(tx))
        rows = self._first_batch(tx, one)
        if rows:
            self._begin(rows)
        while rows:
            began_ns, following = time.time_ns(), self._following(tx, one, rows)
            refused = self.publisher.finish()
            record_published([row for place, row in enumerate(rows) if place not in refused], began_ns)
            crash_point("relay.after_confirm")
            if following:
                self._begin(following)
            _settle(tx, rows, refused)
            one.count(rows, refused)
            rows = following
        return one

    def _lock_lanes(self, tx: Tx) -> list[int]:
        """Take at most an equal share of the lanes, starting behind those of the last round, so that each lane gets its
        turn.
        """
        share = -(-outbox_table.LANES // self.doorbell.relays())
        lanes = outbox_table.lock_lanes(tx, at_most=share, starting_with=self._start_lane)
        self._start_lane = (self._start_lane + max(1, len(lanes))) % outbox_table.LANES
        return lanes

    def _first_batch(self, tx: Tx, one: _Round) -> list[outbox_table.DueRow]:
        """An empty look from the beginning is remembered too: beside an old snapshot it costs 0.3 s of PostgreSQL."""
        if not one.lanes:
            return []
        floor = self._floor_of(one.lanes)
        if floor is None:
            one.floor = outbox_table.clock(tx) - LOOK_BACK
        return _publishable(tx, outbox_table.due(tx, one.lanes, not_older_than=floor, limit=BATCH))

    def _following(self, tx: Tx, one: _Round, rows: list[outbox_table.DueRow]) -> list[outbox_table.DueRow]:
        """The batch after this one, unless this is the last: there is no more, or the round has become long enough."""
        took = time.perf_counter() - one.started
        if len(rows) < BATCH or one.batches + 1 >= LONGEST_ROUND or took > LONGEST_ROUND_SECONDS:
            return []
        last = rows[-1]
        rows = outbox_table.due(tx, one.lanes, not_older_than=last.due_at, after_id=last.id, limit=BATCH)
        return _publishable(tx, rows)

    def _begin(self, rows: list[outbox_table.DueRow]) -> None:
        crash_point("relay.before_publish")
        self.publisher.begin([_outgoing(row) for row in rows])

    def _floor_of(self, lanes: list[int]) -> datetime | None:
        """The due time from which to read these lanes; None for a full read from the oldest row.

        Every FULL_LOOK_SECONDS all floors are dropped: a transaction that committed late may have left an older row
        behind.
        """
        if time.monotonic() >= self._full_look_at:
            self._full_look_at = time.monotonic() + FULL_LOOK_SECONDS
            self._floors.clear()
        floors = [self._floors.get(lane) for lane in lanes]
        return min((floor for floor in floors if floor), default=None) if all(floors) else None


def _publishable(tx: Tx, rows: list[outbox_table.DueRow]) -> list[outbox_table.DueRow]:
    """These rows but for those that no broker can take: one of them would close the channel of all."""
    for row in rows:
        if row.defect is not None:
            _set_aside(tx, row.id, row.defect)
    return [row for row in rows if row.defect is None]


def _settle(tx: Tx, rows: list[outbox_table.DueRow], refused: set[int]) -> None:
    """Delete the confirmed rows, and give the refused ones a new due time. `refused` holds positions in `rows`, not
    ids.
    """
    _isolated(tx, [row.id for position, row in enumerate(rows) if position not in refused], outbox_table.settle)
    _isolated(tx, [rows[position].id for position in refused], _put_back)


def _put_back(tx: Tx, ids: list[int]) -> None:
    outbox_table.put_back(tx, ids, seconds=REFUSED_PAUSE_SECONDS)


def _isolated(tx: Tx, ids: list[int], act: Callable[[Tx, list[int]], object]) -> None:
    """Do it for all rows, or for one after the other when it fails; the row that fails alone is set aside.

    The rows are published already: rolled back, the neighbours of a bad one would be published again and again.
    """
    if not ids:
        return
    try:
        with tx.transaction():
            act(tx, ids)
    except (OperationalError, InterfaceError, ProgrammingError):  # the connection, or a statement: of no row
        raise
    except DatabaseError as error:
        if len(ids) == 1:
            _set_aside(tx, ids[0], f"its settlement fails: {type(error).__name__}")
            return
        for each in ids:
            _isolated(tx, [each], act)


def _set_aside(tx: Tx, row_id: int, because: str) -> None:
    logger.error("outbox row {} set aside: {}", row_id, because)
    outbox_table.set_aside(tx, row_id, because=because)


def _outgoing(row: outbox_table.DueRow) -> Outgoing:
    return Outgoing(row.exchange, row.routing_key, str(row.message_id), row.body)


def _relay(process: Process, database: DatabaseSettings, broker: BrokerSettings) -> Work:
    """Declare the topology, connect, and return the loop; readiness needs the database and the broker."""
    url = broker.rabbitmq_url.get_secret_value()
    topology.declare_when_reachable(url)
    db = process.database(database)
    relay = Relay(db, Publisher(url), Listener(database), process.stopping)
    process.closing.callback(relay.doorbell.close)
    process.closing.callback(relay.publisher.close)
    process.serve_health({"db": database_check(db), "broker": broker_check(broker)}, ("db", "broker"))
    logger.info("relay started")
    return relay.run


def main() -> None:
    """The `relay` process. Exit codes: 0 stopped, 69 no broker at start, 75 held up while stopping, 78 settings or
    topology.
    """
    relay = Program("relay", goodbye="relay stopped after settling its last batch", patience_seconds=PATIENCE_SECONDS)
    relay.run((DatabaseSettings, BrokerSettings), _relay)


if __name__ == "__main__":
    main()
