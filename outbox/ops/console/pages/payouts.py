"""Balances of recipients, and payouts of their accounts with what each contained. Nothing is decided here."""

from collections.abc import Sequence

import psycopg
from starlette.responses import Response

from db.payouts import views as payout_views
from db.payouts.views import RecipientBalance
from db.session import Database
from db.tenants import tenants
from outbox.ops.console.responses import PageError
from outbox.ops.console.visit import RequestContext

SHOWN = 50


def index(visit: RequestContext) -> Response:
    failed = visit.query.text("show") == "failed"
    with visit.db.ops_transaction() as tx:
        payouts = payout_views.payouts(tx, recipient_id=None, failed=failed, limit=SHOWN)
        names = tenants.names(tx)
    return visit.page("payouts.html", payouts=payouts, failed=failed, balances=_balances(visit.db), tenants=names)


def _balances(db: Database) -> Sequence[RecipientBalance] | None:
    """None: the ledger is too large to be summed while a page loads."""
    try:
        with db.ops_transaction() as tx:
            return payout_views.balances(tx, tenant_id=None)
    except psycopg.errors.QueryCanceled:
        return None


def detail(visit: RequestContext) -> Response:
    payout_id = str(visit.request.path_params["payout"])
    with visit.db.ops_transaction() as tx:
        payout = payout_views.payout(tx, payout_id)
        contents = payout_views.contents(tx, payout_id) if payout else []
    if payout is None:
        raise PageError(404, "no such payout of a connected account is known")
    return visit.page("payout.html", payout=payout, contents=contents)
