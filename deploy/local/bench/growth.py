"""Does the relay stay cheap when the backlog grows, when much has gone through, and when somebody holds a snapshot?

All states stand at once and take turns, so that each ratio compares figures of the same seconds. What counts is the CPU
time of the relay's own database session.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from deploy.local.bench import backlog, cpu, relaying
from deploy.local.bench.cpu import Meter
from deploy.local.bench.ground import Book, Ground, Queue
from outbox.relay import Relay

SMALLEST, MIDDLE, LARGEST = 10_000, 100_000, 1_000_000
QUICK_MIDDLE, QUICK_LARGEST = 20_000, 50_000
WARM_UP = 3  # the first rows after a million reuse the pages which those have left, and clean them
PER_PASS = relaying.ROUND
# Behind a million the relay looks from the very beginning once in 15 s, however many rows it moves meanwhile: enough
# rows that a pass holds one such look, and not only that.
BEHIND_MANY = 10 * relaying.ROUND


@dataclass(frozen=True, slots=True)
class State:
    """A database in one state, and the relay that works on it from the first pass to the last."""

    book: Book
    relay: Relay
    session_pid: int
    per_pass: int


def measure(ground: Ground) -> None:
    middle, largest = (QUICK_MIDDLE, QUICK_LARGEST) if ground.quick else (MIDDLE, LARGEST)
    with ExitStack() as stack, ground.queue() as queue:
        states = {
            "smallest": stack.enter_context(_state(ground, backlog_rows=SMALLEST)),
            "middle": stack.enter_context(_state(ground, backlog_rows=middle)),
            "largest": stack.enter_context(_state(ground, backlog_rows=largest)),
            "delivered": stack.enter_context(_state(ground, delivered=largest)),
            "snapshot": stack.enter_context(_state(ground, delivered=largest, old_snapshot=True)),
        }
        ground.settle()
        for _ in range(WARM_UP):
            for state in states.values():
                _relay(state, queue)
        for _ in range(ground.passes):
            _note(ground, {name: _relay(state, queue) for name, state in states.items()})
            ground.results.add("old snapshot: an idle look", _idle_look(ground, states["snapshot"], queue))


@contextmanager
def _state(
    ground: Ground, *, backlog_rows: int = SMALLEST, delivered: int = 0, old_snapshot: bool = False
) -> Iterator[State]:
    with ExitStack() as stack:
        book = stack.enter_context(ground.book())
        if delivered:
            backlog.fill(book, delivered, analyze=False)
            if old_snapshot:
                stack.enter_context(backlog.hold_snapshot(book))
            backlog.deliver_all(book)
        per_pass = BEHIND_MANY if delivered and not ground.quick else PER_PASS
        backlog.fill(book, backlog_rows + per_pass)
        relay = stack.enter_context(relaying.relay(ground, book))
        yield State(book, relay, _session_pid(relay), per_pass)


def _session_pid(relay: Relay) -> int:
    """The bench's relay has a pool of one connection."""
    with relay.db.system_transaction() as tx:
        return tx.info.backend_pid


def _relay(state: State, queue: Queue) -> tuple[float, float]:
    """Relay a few batches; returns rows/s and the session's CPU ms a row. The backlog is filled up again."""
    meter = Meter(session=lambda: cpu.process_seconds(state.session_pid))
    with meter.running():
        relaying.drain(state.relay, state.per_pass)
    backlog.fill(state.book, state.per_pass, analyze=False)
    queue.empty()
    assert _session_pid(state.relay) == state.session_pid, "the relay worked on another session than was measured"
    return state.per_pass / meter.seconds, meter.cpu["session"] / state.per_pass * 1e3


def _idle_look(ground: Ground, state: State, queue: Queue) -> float:
    """PostgreSQL CPU ms of a round of a relay that started when nothing was due, and has seen so once."""
    while state.relay.run_once():
        pass
    with relaying.relay(ground, state.book) as relay:
        session_pid = _session_pid(relay)
        relay.run_once()
        relay.run_once()
        meter = Meter(session=lambda: cpu.process_seconds(session_pid))
        with meter.running():
            assert not relay.run_once(), "nobody appends while the bench looks"
    backlog.fill(state.book, SMALLEST + state.per_pass, analyze=False)
    queue.empty()
    return meter.cpu["session"] * 1e3


def _note(ground: Ground, figures: dict[str, tuple[float, float]]) -> None:
    add = ground.results.add
    smallest = figures["smallest"][1]
    add("backlog, smallest: PostgreSQL", smallest)
    for size in ("middle", "largest"):
        add(f"backlog, {size}: relay", figures[size][0])
        add(f"backlog, {size} / smallest: PostgreSQL", figures[size][1] / smallest)
    add("many delivered / smallest: PostgreSQL", figures["delivered"][1] / smallest)
    add("old snapshot / smallest: PostgreSQL", figures["snapshot"][1] / smallest)
