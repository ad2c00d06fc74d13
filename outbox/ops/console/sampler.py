"""One thread samples the numbers of the overview page every few seconds, so that open browsers cost no extra queries.

After a slow sample the pause is longer, so that sampling never uses more than a twentieth of one connection. When the
database or the broker is unreachable, the page says so; the last good sample is kept and shown with its age.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread

import psycopg
from loguru import logger
from pika.exceptions import AMQPError
from psycopg_pool import PoolTimeout

from db.monitoring import overview, throughput
from db.monitoring.overview import Overview, StateTotal
from db.monitoring.throughput import Interval, OldestAges
from db.queue import backlog, outbox
from db.queue.backlog import BacklogCount
from db.queue.outbox import Depth
from db.session import Database

EVERY_SECONDS = 3.0
SHARE_OF_TIME = 0.05
SLICE_SECONDS = 60
SLICES = 30
KEPT_SAMPLES = 600  # half an hour at full pace


@dataclass(frozen=True, slots=True)
class SamplePoint:
    """One point of a chart that cannot be computed from the database later.

    Attributes:
        at: `time.monotonic()` of the sample.
        outbox_due: rows that were due.
        oldest_due_seconds: age of the oldest due row; 0 when none is due.
        oldest_moving_seconds: age of the oldest payment in progress; 0 when there is none.
    """

    at: float
    outbox_due: int
    oldest_due_seconds: float
    oldest_moving_seconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The numbers at one moment, all from one transaction except `queues`.

    `taken_at` is monotonic time; `queues` has the ready messages by queue (-1: the queue is missing) and is None while
    the broker is unreachable; `beats` are SLICES intervals of SLICE_SECONDS, the oldest first.
    """

    taken_at: float
    glance: Overview
    totals: list[StateTotal]
    beats: list[Interval]
    ages: OldestAges
    depth: Depth
    lots: list[BacklogCount]
    queues: dict[str, int] | None


@dataclass
class Sampler:
    """Samples on a thread of its own; pages read `latest` and `marks` without a lock, and never wait for a sample.

    `depths` reads the number of ready messages in each queue from the broker. `latest` is None until the first sample.
    """

    db: Database
    depths: Callable[[], dict[str, int]]
    marks: deque[SamplePoint] = field(default_factory=lambda: deque(maxlen=KEPT_SAMPLES))
    latest: Sample | None = None
    _stopping: Event = field(default_factory=Event)

    def start(self) -> None:
        """Start sampling on a daemon thread, the first sample at once."""
        Thread(target=self._run, name="sampler", daemon=True).start()

    def stop(self) -> None:
        """End the thread after its current sample; does not wait for it."""
        self._stopping.set()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            started = time.monotonic()
            self.look()
            pause = max(EVERY_SECONDS, (time.monotonic() - started) / SHARE_OF_TIME)

    def look(self) -> None:
        """Take one sample; keep the last one when the database is unreachable."""
        try:
            self.latest = self._sample()
        except (psycopg.Error, PoolTimeout) as error:
            logger.warning("sampling failed: {}", type(error).__name__)
            return
        ages, now = self.latest.ages, self.latest.taken_at
        self.marks.append(SamplePoint(now, self.latest.depth.due, ages.outbox_due or 0.0, ages.payment_moving or 0.0))

    def _sample(self) -> Sample:
        queues = self._queues()  # before the transaction: no outside call inside one (M6)
        with self.db.ops_transaction() as tx:
            return Sample(
                taken_at=time.monotonic(),
                glance=overview.glance(tx, window_seconds=300),
                totals=overview.totals(tx),
                beats=throughput.beats(tx, slice_seconds=SLICE_SECONDS, slices=SLICES),
                ages=throughput.ages(tx),
                depth=outbox.depth(tx),
                lots=backlog.lots(tx),
                queues=queues,
            )

    def _queues(self) -> dict[str, int] | None:
        """None while the broker is unreachable: the page then shows the numbers of the database without those of the
        broker.
        """
        try:
            return self.depths()
        except (AMQPError, OSError):
            return None
