"""Queues and outbox lag: messages due, messages scheduled for later, and the retry policy of each queue."""

from starlette.responses import Response

from db.queue import backlog, outbox
from messages.queues import ROUTES
from outbox.ops.console.request_context import RequestContext

SHOWN_RETRIES = 50


def index(context: RequestContext) -> Response:
    """GET /queues: the outbox from the database, the broker's numbers from the last sample (None while it is
    unreachable).
    """
    with context.db.ops_transaction() as tx:
        depth, lots, retries = outbox.depth(tx), backlog.lots(tx), backlog.next_retries(tx, limit=SHOWN_RETRIES)
    sample = context.services.sampler.latest
    return context.page(
        "queues.html",
        depth=depth,
        lots=lots,
        retries=retries,
        ready=sample.queues if sample else None,
        retry_policies=sorted(
            ((message.kind, route) for message, route in ROUTES.items()), key=lambda pair: pair[1].queue
        ),
    )
