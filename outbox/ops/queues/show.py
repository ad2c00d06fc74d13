"""`fleet outbox status`, `fleet queues` and `fleet keys`: outbox backlog, broker queues, new sealing keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pika
from pika.exceptions import ChannelClosedByBroker
from rich.text import Text

from db.queue import backlog
from db.queue import outbox as outbox_table
from db.queue.outbox import Depth
from messages.patience import Patience
from messages.queues import DEAD_LETTER_QUEUE, ROUTES, Route
from messages.runtime.settings import load
from outbox.broker import topology
from outbox.broker.settings import BrokerSettings
from outbox.broker.urls import nodes
from outbox.ops.dead_letters import explanations
from outbox.ops.output import facts, is_narrow, out, plain, print_json, record, said, table
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles
from outbox.sealing import new_pair


@troubles()
def show_outbox(*, limit: int, as_json: bool) -> None:
    """Print the outbox: counts, backlog by destination, and the next retries. Reads the database only, not the
    broker.
    """
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        depth, lots, retries = outbox_table.depth(tx), backlog.lots(tx), backlog.next_retries(tx, limit=limit)
    if as_json:
        print_json(record(depth) | {"lots": list(map(record, lots)), "next": list(map(record, retries))})
        return
    out().print(_depth(depth))
    if lots:
        out().print()
        out().print(_lots(lots))
    if retries:
        out().print(Text("\nNext retries", style="bold"))
        out().print(_next(retries))


def _depth(depth: Depth) -> object:
    oldest = f", oldest for {depth.oldest_due_seconds:.1f} s" if depth.due else ""
    return facts({
        "due": Text(f"{depth.due}{oldest}", style="yellow" if depth.oldest_due_seconds > 30 else ""),
        "waiting": f"{depth.waiting} scheduled for later",
        "refused": Text(f"{depth.refused} returned or nacked by the broker", style="red" if depth.refused else ""),
    })  # fmt: skip


def _lots(lots: list[backlog.BacklogCount]) -> object:
    shown = table("kind", "to", "due", "waiting", "retries", "refused", "oldest due", "next due", right=_NUMBERS)
    for lot in lots:
        counts = [str(count or "-") for count in (lot.due, lot.waiting, lot.retries, lot.refused)]
        oldest = f"{_age(lot.oldest_due_at)} ago" if lot.oldest_due_at else "-"
        following = f"in {_age(lot.next_due_at)}" if lot.next_due_at else "-"
        shown.add_row(plain(lot.kind), plain(lot.destination), *counts, oldest, following)
    return shown


_NUMBERS = ("due", "waiting", "retries", "refused", "oldest due", "next due")


def _next(retries: list[backlog.NextRetry]) -> object:
    shown = table("due in", "kind", "attempt", "payment", "last failure", right=("due in", "attempt"))
    for retry in retries:
        about = str(retry.payment_id or "-")
        shown.add_row(_age(retry.due_at), plain(retry.kind), str(retry.attempt), about, plain(retry.reason or "-"))
    return shown


def _age(moment: datetime) -> str:
    return explanations.age(moment, datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue at the broker; None means that it is missing, an empty `drift` that it matches our declaration."""

    queue: str
    ready: int | None
    consumers: int | None
    drift: str


@troubles()
def show_queues(*, as_json: bool) -> None:
    """Exit code 1 when a queue is missing or its arguments differ from ours."""
    (settings,) = load(BrokerSettings)
    with _connection(settings.rabbitmq_url.get_secret_value()) as connection:
        queue_states = [_look(connection, queue) for queue in topology.queues()]
    if as_json:
        print_json({"queues": [record(queue) | {"routes": _routes_document(queue.queue)} for queue in queue_states]})
    else:
        _print_queues(queue_states)
    off = [queue for queue in queue_states if queue.drift]
    if off:
        raise LeaveError(REFUSED, "".join(f"{queue.queue}: {queue.drift}.\n" for queue in off).rstrip())


@contextmanager
def _connection(url: str) -> Iterator[pika.BlockingConnection]:
    parameters = nodes(url)
    for node in parameters:
        node.connection_attempts, node.socket_timeout = 1, 5
    connection = pika.BlockingConnection(parameters)
    try:
        yield connection
    finally:
        if connection.is_open:
            connection.close()


def _look(connection: pika.BlockingConnection, queue: topology.Queue) -> QueueState:
    """A passive declaration first, which creates nothing; then one with our arguments, which only compares."""
    try:
        declared = connection.channel().queue_declare(queue.name, passive=True).method
    except ChannelClosedByBroker:
        return QueueState(queue.name, None, None, "missing; start any process of the fleet, which declares the queues")
    ready, consumers = int(declared.message_count), int(declared.consumer_count)
    try:
        connection.channel().queue_declare(queue.name, durable=True, arguments=queue.arguments)
    except ChannelClosedByBroker as error:
        return QueueState(queue.name, ready, consumers, f"arguments differ from ours: {error.reply_text}")
    return QueueState(queue.name, ready, consumers, "")


def _print_queues(queue_states: list[QueueState]) -> None:
    console = out()
    columns = ("queue", "ready", "consumers", "kind", "attempts", "backoff", "time limit", "maximum age")
    shown = table(*columns, right=("ready", "consumers", "attempts", "backoff", "time limit", "maximum age"))
    for queue in queue_states:
        routes = _routes(queue.queue)
        patience = [(kind, *_patience(route.patience)) for kind, route in routes] or [("-",) * 5]
        cells = [plain("\n".join(column)) for column in zip(*patience, strict=True)]
        shown.add_row(_name(queue), _count(queue.ready, queue), _count(queue.consumers, queue), *cells)
    console.print(shown)
    waiting = next((queue.ready for queue in queue_states if queue.queue == DEAD_LETTER_QUEUE), 0)
    if waiting:
        said().print(f"\n{waiting} messages dead-lettered by the broker are waiting to be stored.", style="yellow")
    if is_narrow(console):
        return
    said().print("\nbackoff: random, up to the first value, doubled with each attempt up to the second", style="dim")


def _name(queue: QueueState) -> Text:
    return Text(queue.queue, style="red" if queue.drift else "")


def _count(number: int | None, queue: QueueState) -> Text:
    if number is None:
        return Text("missing", style="red")
    return Text(str(number), style="" if number else "dim")


def _routes(queue: str) -> list[tuple[str, Route]]:
    return [(message.kind, route) for message, route in ROUTES.items() if route.queue == queue]


def _routes_document(queue: str) -> list[dict[str, object]]:
    return [record(route.patience) | {"kind": kind} for kind, route in _routes(queue)]


def _patience(patience: Patience) -> tuple[str, str, str, str]:
    backoff = f"{patience.backoff_base_seconds:g} s to {patience.backoff_ceiling_seconds:g} s"
    days, hours = divmod(patience.max_age_seconds, 86_400)
    return (
        str(patience.tries),
        backoff,
        f"{patience.time_limit_seconds} s",
        f"{days} d" if not hours else f"{hours // 3_600} h",
    )


@troubles()
def show_keys(*, as_json: bool) -> None:
    """The private key is for workers only; it is not stored anywhere."""
    public, private = new_pair()
    if as_json:
        print_json({"DEAD_LETTER_PUBLIC_KEY": public, "DEAD_LETTER_PRIVATE_KEY": private})
        return
    out().print(f"DEAD_LETTER_PUBLIC_KEY={public}\nDEAD_LETTER_PRIVATE_KEY={private}", soft_wrap=True)
    said().print(
        "The public key goes to every process, the private key to the workers only. Keep the private key: without it "
        "the sealed originals of dead letters cannot be opened.",
        style="dim",
    )
