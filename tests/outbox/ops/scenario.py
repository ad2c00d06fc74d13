"""The real workers without a broker: a thread takes rows out of the outbox and runs them, until it is told to stop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import orjson

from db.queue import outbox
from db.session import Database
from outbox.sealing import Sealer
from stripe_client.gateway import Gateway
from workers import main
from workers.runtime import actor
from workers.runtime.actor import ACTORS

assert main.ACTORS, "importing it registers every actor"


@contextmanager
def workers_at_work(
    db: Database, stripe: Gateway, sealer: Sealer, meanwhile: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """`with workers_at_work(...):` what is due gets done within a few milliseconds. `meanwhile` runs in every round."""
    stopping = Event()

    def work() -> None:
        while not stopping.wait(0.02):
            meanwhile()
            run_due(db, stripe, sealer)

    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def run_due(db: Database, stripe: Gateway, sealer: Sealer) -> None:
    with db.moving_transaction() as tx:
        lanes = outbox.lock_lanes(tx, at_most=outbox.LANES, starting_with=0)
        rows = [row for row in outbox.due(tx, lanes, not_older_than=None, limit=100) if row.exchange == ""]
        outbox.settle(tx, [row.id for row in rows])
    for row in rows:
        fields = orjson.loads(row.body)
        envelope = actor.envelope_of(fields["message_id"], fields["options"])
        actor.run(ACTORS[fields["actor_name"]], fields["kwargs"]["payload"], envelope, db, stripe, sealer)
