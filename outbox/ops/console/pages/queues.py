"""Queues and the lag of the outbox: what is due, what waits for its time, and how patient each queue is."""

from starlette.responses import Response

from db.queue import backlog, outbox
from messages.queues import ROUTES
from outbox.ops.console.visit import RequestContext

SHOWN_RETRIES = 50


def index(visit: RequestContext) -> Response:
    with visit.db.ops_transaction() as tx:
        depth, lots, retries = outbox.depth(tx), backlog.lots(tx), backlog.next_retries(tx, limit=SHOWN_RETRIES)
    sample = visit.room.watch.latest
    return visit.page(
        "queues.html",
        depth=depth,
        lots=lots,
        retries=retries,
        ready=sample.queues if sample else None,
        patience=sorted(((message.kind, route) for message, route in ROUTES.items()), key=lambda pair: pair[1].queue),
    )
