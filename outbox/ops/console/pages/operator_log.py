"""The operator log: who decided what and why, and whether its chain of hashes still holds."""

from starlette.responses import Response

from db.operators import log as operator_log
from outbox.ops.console.visit import RequestContext

PER_PAGE = 50


def index(visit: RequestContext) -> Response:
    before = visit.query.number("before", otherwise=0, lowest=0, highest=2**62)
    with visit.db.ops_transaction() as tx:
        entries = operator_log.latest(tx, limit=PER_PAGE + 1, before_seq=before or None)
        walked, broken = operator_log.first_broken_link(tx)
    shown = entries[:PER_PAGE]
    older = shown[-1].seq if len(entries) > PER_PAGE else None
    return visit.page("log.html", entries=shown, older=older, walked=walked, broken=broken)
