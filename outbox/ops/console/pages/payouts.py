"""Recipients' balances, and the payouts of their connected accounts with their contents. Read-only."""

from collections.abc import Sequence

import psycopg
from starlette.responses import Response

from db.payouts import views as payout_views
from db.payouts.views import RecipientBalance
from db.session import Database
from db.tenants import tenants
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.responses import PageError

SHOWN = 50


def index(context: RequestContext) -> Response:
    """GET /payouts: the newest payouts, or those that failed, and the balances of recipients."""
    failed = context.query.text("show") == "failed"
    with context.db.ops_transaction() as tx:
        payouts = payout_views.payouts(tx, recipient_id=None, failed=failed, limit=SHOWN)
        names = tenants.names(tx)
    return context.page("payouts.html", payouts=payouts, failed=failed, balances=_balances(context.db), tenants=names)


def _balances(db: Database) -> Sequence[RecipientBalance] | None:
    """None when the ledger is too large to sum within the page's query timeout."""
    try:
        with db.ops_transaction() as tx:
            return payout_views.balances(tx, tenant_id=None)
    except psycopg.errors.QueryCanceled:
        return None


def detail(context: RequestContext) -> Response:
    """GET /payouts/{id}: one payout and its contents; 404 when no connected account has it."""
    payout_id = str(context.request.path_params["payout"])
    with context.db.ops_transaction() as tx:
        payout = payout_views.payout(tx, payout_id)
        contents = payout_views.contents(tx, payout_id) if payout else []
    if payout is None:
        raise PageError(404, "payout not found")
    return context.page("payout.html", payout=payout, contents=contents)
