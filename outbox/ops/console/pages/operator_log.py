"""The operator log: who did what and why, and whether its hash chain is intact."""

from starlette.responses import Response

from db.operators import log as operator_log
from outbox.ops.console.request_context import RequestContext

PER_PAGE = 50


def index(context: RequestContext) -> Response:
    """GET /operator-log: newest first, paged by sequence number. The whole hash chain is verified at each view."""
    before = context.query.number("before", otherwise=0, lowest=0, highest=2**62)
    with context.db.ops_transaction() as tx:
        entries = operator_log.latest(tx, limit=PER_PAGE + 1, before_seq=before or None)
        checked, broken = operator_log.first_broken_link(tx)
    shown = entries[:PER_PAGE]
    older = shown[-1].seq if len(entries) > PER_PAGE else None
    return context.page("operator_log.html", entries=shown, older=older, checked=checked, broken=broken)
