"""Payments: search by any id that a caller may quote, and the timeline of one."""

from starlette.responses import Response

from db.operators import timeline
from db.payments import views as payment_views
from db.shares import escrow
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.responses import PageError
from outbox.ops.payments.timeline import part_label

PER_PAGE = 50


def index(context: RequestContext) -> Response:
    """GET /payments: search by any id, or the newest; a search with a single match redirects to that payment."""
    text = context.query.text("q")
    page = context.query.number("page", otherwise=1, lowest=1, highest=100_000)
    window = {"limit": PER_PAGE + 1, "offset": (page - 1) * PER_PAGE}
    with context.db.ops_transaction() as tx:
        payments = payment_views.search(tx, text, **window) if text else payment_views.newest(tx, **window)
    if text and len(payments) == 1 and page == 1:
        return context.redirect(f"/payments/{payments[0].payment_id}")
    return context.page(
        "payments.html", q=text, payments=payments[:PER_PAGE], page=page, has_more=len(payments) > PER_PAGE
    )


def detail(context: RequestContext) -> Response:
    """GET /payments/{id}: the timeline. The id could also be another payment's order id, so the match must be exact."""
    payment_id = context.id_in_path("payment")
    with context.db.ops_transaction() as tx:
        payments = [each for each in timeline.find(tx, str(payment_id)) if each.payment_id == payment_id]
        if not payments:
            raise PageError(404, "payment not found")
        entries = timeline.happenings(tx, payments[0])
        has_shares = escrow.of_payment(tx, payment_id) is not None
    return context.page(
        "payment.html", payment=payments[0], entries=entries, has_shares=has_shares, part_label=part_label
    )
