"""Shares: what escrow holds and why, what was released but not transferred yet, and the split of one payment."""

from starlette.responses import Response

from db.operators import requests as operator_requests
from db.shares import escrow
from db.shares import views as share_views
from db.tenants import tenants
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.responses import PageError
from outbox.ops.shares.tree import tree_of
from outbox.requests import approvals
from outbox.requests.operators import shares
from outbox.requests.operators.shares import KINDS

SHOWN = 50
KEPT_BY = ("event", "unknown_end", "dispute", "refund", "cancellation", "cancelled_event", "group", "person")


def index(context: RequestContext) -> Response:
    """GET /shares: escrow, pending requests, and released shares that have not been paid."""
    selected = context.query.text("kept_by")
    kept_by = selected if selected in KEPT_BY else None
    with context.db.ops_transaction() as tx:
        return context.page(
            "shares.html",
            requests=operator_requests.waiting(tx, limit=SHOWN, kinds=KINDS),
            held=escrow.find(tx, kept_by=kept_by, limit=SHOWN),
            waiting=share_views.waiting(tx, limit=SHOWN),
            tenants=tenants.names(tx),
            kept_by=kept_by or "",
            reasons=KEPT_BY,
        )


def payment(context: RequestContext) -> Response:
    """GET /shares/payments/{id}: the split of one payment; 404 when it has no shares."""
    payment_id = context.id_in_path("payment")
    with context.db.ops_transaction() as tx:
        tree = tree_of(tx, payment_id)
        requests = operator_requests.waiting(tx, limit=SHOWN, kinds=KINDS, payment_id=payment_id)
    if tree is None:
        raise PageError(404, "this payment has no shares: it has not succeeded, or it predates the split of payments")
    return context.page("shares_of_payment.html", tree=tree, held=tree.held, requests=requests, payment_id=payment_id)


def release(context: RequestContext) -> Response:
    """POST: request the release of a payment's shares; above the limit a second operator approves it."""
    with context.operator.transaction() as acting:
        request = shares.release(acting, context.id_in_path("payment"), note=context.form.text("reason"))
    return context.redirect(
        "/shares", done="release_awaits_approval" if request.state == "awaiting_approval" else "escrow_requested"
    )


def hold(context: RequestContext) -> Response:
    with context.operator.transaction() as acting:
        shares.hold(acting, context.id_in_path("payment"), note=context.form.text("reason"))
    return context.redirect("/shares", done="escrow_requested")


def approve(context: RequestContext) -> Response:
    with context.operator.transaction() as acting:
        approvals.approve(acting, context.id_in_path("request"))
    return context.redirect("/shares", done="escrow_requested")


def withdraw(context: RequestContext) -> Response:
    with context.operator.transaction() as acting:
        approvals.withdraw(acting, context.id_in_path("request"), reason=context.form.text("reason"))
    return context.redirect("/shares", done="request_withdrawn")
