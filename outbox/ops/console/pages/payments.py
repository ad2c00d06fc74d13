"""Payments: found by any id that somebody on the phone may read out, and the whole story of one."""

from starlette.responses import Response

from db.operators import timeline
from db.payments import views as payment_views
from db.shares import escrow
from outbox.ops.console.responses import PageError
from outbox.ops.console.visit import RequestContext

PER_PAGE = 50


def index(visit: RequestContext) -> Response:
    text = visit.query.text("q")
    page = visit.query.number("page", otherwise=1, lowest=1, highest=100_000)
    window = {"limit": PER_PAGE + 1, "offset": (page - 1) * PER_PAGE}
    with visit.db.ops_transaction() as tx:
        payments = payment_views.search(tx, text, **window) if text else payment_views.newest(tx, **window)
    if text and len(payments) == 1 and page == 1:
        return visit.go(f"/payments/{payments[0].payment_id}")
    return visit.page("payments.html", q=text, found=payments[:PER_PAGE], page=page, has_more=len(payments) > PER_PAGE)


def detail(visit: RequestContext) -> Response:
    payment_id = visit.id_in_path("payment")
    with visit.db.ops_transaction() as tx:
        payments = [each for each in timeline.find(tx, str(payment_id)) if each.payment_id == payment_id]
        if not payments:
            raise PageError(404, "there is no such payment")
        happenings = timeline.happenings(tx, payments[0])
        has_shares = escrow.of_payment(tx, payment_id) is not None
    return visit.page("payment.html", payment=payments[0], happenings=happenings, has_shares=has_shares)
