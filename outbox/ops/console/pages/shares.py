"""Everyone's shares: what escrow holds and why, what was released and has not arrived, and the tree of one payment."""

from starlette.responses import Response

from db.operators import requests
from db.shares import escrow
from db.shares import views as share_views
from db.tenants import tenants
from outbox.ops.console.responses import PageError
from outbox.ops.console.visit import RequestContext
from outbox.ops.shares.tree import tree_of
from outbox.requests import approvals
from outbox.requests.operators import shares
from outbox.requests.operators.shares import KINDS

SHOWN = 50
KEPT_BY = ("event", "unknown_end", "dispute", "refund", "cancellation", "cancelled_event", "group", "person")


def index(visit: RequestContext) -> Response:
    asked = visit.query.text("kept_by")
    kept_by = asked if asked in KEPT_BY else None
    with visit.db.ops_transaction() as tx:
        return visit.page(
            "shares.html",
            wishes=requests.waiting(tx, limit=SHOWN, kinds=KINDS),
            held=escrow.find(tx, kept_by=kept_by, limit=SHOWN),
            waiting=share_views.waiting(tx, limit=SHOWN),
            tenants=tenants.names(tx),
            kept_by=kept_by or "",
            reasons=KEPT_BY,
        )


def payment(visit: RequestContext) -> Response:
    payment_id = visit.id_in_path("payment")
    with visit.db.ops_transaction() as tx:
        tree = tree_of(tx, payment_id)
        wishes = requests.waiting(tx, limit=SHOWN, kinds=KINDS, payment_id=payment_id)
    if tree is None:
        raise PageError(404, "this payment has no shares: it has not succeeded, or is older than shares are")
    return visit.page("shares_of_payment.html", tree=tree, held=tree.held, wishes=wishes, payment_id=payment_id)


def release(visit: RequestContext) -> Response:
    with visit.operator.transaction() as acting:
        request = shares.release(acting, visit.id_in_path("payment"), note=visit.form.text("reason"))
    return visit.go("/shares", done="escrow_waits" if request.state == "awaiting_approval" else "escrow_asked")


def hold(visit: RequestContext) -> Response:
    with visit.operator.transaction() as acting:
        shares.hold(acting, visit.id_in_path("payment"), note=visit.form.text("reason"))
    return visit.go("/shares", done="escrow_asked")


def approve(visit: RequestContext) -> Response:
    with visit.operator.transaction() as acting:
        approvals.approve(acting, visit.id_in_path("wish"))
    return visit.go("/shares", done="escrow_asked")


def withdraw(visit: RequestContext) -> Response:
    with visit.operator.transaction() as acting:
        approvals.withdraw(acting, visit.id_in_path("wish"), reason=visit.form.text("reason"))
    return visit.go("/shares", done="escrow_withdrawn")
