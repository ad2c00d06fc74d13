"""Refunds: cancelled events and their progress, amounts owed to buyers after a failed refund, and refunds pending or
failed.
"""

from dataclasses import dataclass

from starlette.responses import Response

from db.operators import requests
from db.refunds import mass_refunds
from db.refunds import views as refund_views
from db.refunds.mass_refunds import MassRefund
from db.refunds.states import ACTIVE_MASS_REFUNDS
from db.refunds.views import OutcomeCount, RefusalCount
from db.session import Tx
from db.tenants import tenants
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.responses import PageError
from outbox.requests import approvals
from outbox.requests.operators import mass_refunds as mass_refund_requests
from outbox.requests.operators.refunds import retry_refund

SHOWN = 50
SHOWN_RUNS = 10
# The states listed on the page; a refund that succeeded is shown with its payment.
STATES = (*refund_views.MOVING, *refund_views.FAILED)


@dataclass(frozen=True, slots=True)
class MassRefundView:
    """A cancelled event with the outcomes of its payments."""

    run: MassRefund
    outcomes: list[OutcomeCount]
    refusals: list[RefusalCount]

    @property
    def is_moving(self) -> bool:
        """True also when the run is done, as long as its refunds are with workers or at Stripe."""
        in_progress = any(
            outcome.what == "refund" and outcome.state in {"requested", "sending"} for outcome in self.outcomes
        )
        return self.run.state in ACTIVE_MASS_REFUNDS or in_progress


def index(context: RequestContext) -> Response:
    """GET /refunds: mass refunds, pending requests, amounts owed to buyers, and refunds that are not finished."""
    state = context.query.text("state")
    states = (state,) if state in STATES else STATES
    with context.db.ops_transaction() as tx:
        return context.page(
            "refunds.html",
            runs=mass_refunds.latest(tx, limit=SHOWN_RUNS),
            requests=requests.waiting(tx, limit=SHOWN, kinds=["refund"]),
            owed=refund_views.obligations(tx, limit=SHOWN),
            refunds=refund_views.find(tx, states=states, limit=SHOWN),
            tenants=tenants.names(tx),
            state=state if state in STATES else "",
            states=STATES,
        )


def event(context: RequestContext) -> Response:
    """GET /refunds/events/{id}: one cancelled event; 404 when there is none."""
    with context.db.ops_transaction() as tx:
        view, names = _view(tx, context), tenants.names(tx)
    return context.page("cancelled_event.html", view=view, run=view.run, tenants=names)


def event_live(context: RequestContext) -> Response:
    """The part of the page that refreshes while workers process the refunds."""
    with context.db.ops_transaction() as tx:
        view, names = _view(tx, context), tenants.names(tx)
    return context.page("cancelled_event_live.html", view=view, run=view.run, tenants=names)


def retry(context: RequestContext) -> Response:
    """POST: request a failed refund again as a new one."""
    with context.operator.transaction() as acting:
        request = retry_refund(acting, context.id_in_path("refund"), note=context.form.text("reason"))
    return context.redirect(
        "/refunds", done="refund_awaits_approval" if request.state == "awaiting_approval" else "refund_requested"
    )


def approve(context: RequestContext) -> Response:
    """POST: approve a refund or a mass refund, by the id of either."""
    with context.operator.transaction() as acting:
        approved = approvals.approve(acting, context.id_in_path("request"))
    if isinstance(approved, MassRefund):
        return context.redirect(f"/refunds/events/{approved.cancellation_id}", done="cancellation_updated")
    return context.redirect("/refunds", done="refund_requested")


def withdraw(context: RequestContext) -> Response:
    with context.operator.transaction() as acting:
        approvals.withdraw(acting, context.id_in_path("request"), reason=context.form.text("reason"))
    return context.redirect("/refunds", done="refund_withdrawn")


def pause(context: RequestContext) -> Response:
    with context.operator.transaction() as acting:
        run = mass_refund_requests.pause(acting, context.id_in_path("run"), reason=context.form.text("reason"))
    return context.redirect(f"/refunds/events/{run.cancellation_id}", done="cancellation_updated")


def resume(context: RequestContext) -> Response:
    with context.operator.transaction() as acting:
        run = mass_refund_requests.resume(
            acting,
            context.id_in_path("run"),
            reason=context.form.text("reason"),
            rate_per_second=context.form.number("rate", otherwise=20, lowest=1, highest=1000),
            despite_balance=context.form.text("despite_balance") == "yes",
        )
    return context.redirect(f"/refunds/events/{run.cancellation_id}", done="cancellation_updated")


def stop(context: RequestContext) -> Response:
    with context.operator.transaction() as acting:
        run = mass_refund_requests.stop(acting, context.id_in_path("run"), reason=context.form.text("reason"))
    return context.redirect(f"/refunds/events/{run.cancellation_id}", done="cancellation_updated")


def _view(tx: Tx, context: RequestContext) -> MassRefundView:
    run = mass_refunds.get(tx, context.id_in_path("run"))
    if run is None:
        raise PageError(404, "cancelled event not found")
    return MassRefundView(run, refund_views.fates(tx, run), refund_views.refusals(tx, run))
