"""Money that goes back: cancelled events with their progress, what is owed to buyers again, what waits or failed."""

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
from outbox.ops.console.responses import PageError
from outbox.ops.console.visit import RequestContext
from outbox.requests import approvals
from outbox.requests.operators import mass_refunds as mass_refund_requests
from outbox.requests.operators.refunds import retry_refund

SHOWN = 50
SHOWN_RUNS = 10
# What the page shows of single refunds; those that succeeded are found by their payment.
STATES = (*refund_views.MOVING, *refund_views.FAILED)


@dataclass(frozen=True, slots=True)
class MassRefundView:
    """A cancelled event as its page shows it, with what became of its payments."""

    run: MassRefund
    fates: list[OutcomeCount]
    refusals: list[RefusalCount]

    @property
    def is_moving(self) -> bool:
        """Also when it is done: its refunds may still be with the workers, or at Stripe."""
        under_way = any(fate.what == "refund" and fate.state in {"requested", "sending"} for fate in self.fates)
        return self.run.state in ACTIVE_MASS_REFUNDS or under_way


def index(visit: RequestContext) -> Response:
    state = visit.query.text("state")
    states = (state,) if state in STATES else STATES
    with visit.db.ops_transaction() as tx:
        return visit.page(
            "refunds.html",
            runs=mass_refunds.latest(tx, limit=SHOWN_RUNS),
            requests=requests.waiting(tx, limit=SHOWN, kinds=["refund"]),
            owed=refund_views.obligations(tx, limit=SHOWN),
            refunds=refund_views.find(tx, states=states, limit=SHOWN),
            tenants=tenants.names(tx),
            state=state if state in STATES else "",
            states=STATES,
        )


def event(visit: RequestContext) -> Response:
    with visit.db.ops_transaction() as tx:
        view, names = _view(tx, visit), tenants.names(tx)
    return visit.page("cancelled_event.html", view=view, run=view.run, tenants=names)


def event_live(visit: RequestContext) -> Response:
    """The part of the page that changes while workers are at it."""
    with visit.db.ops_transaction() as tx:
        view, names = _view(tx, visit), tenants.names(tx)
    return visit.page("cancelled_event_live.html", view=view, run=view.run, tenants=names)


def retry(visit: RequestContext) -> Response:
    with visit.operator.transaction() as acting:
        request = retry_refund(acting, visit.id_in_path("refund"), note=visit.form.text("reason"))
    return visit.go("/refunds", done="refund_waits" if request.state == "awaiting_approval" else "refund_asked")


def approve(visit: RequestContext) -> Response:
    with visit.operator.transaction() as acting:
        approved = approvals.approve(acting, visit.id_in_path("name"))
    if isinstance(approved, MassRefund):
        return visit.go(f"/refunds/events/{approved.cancellation_id}", done="event_steered")
    return visit.go("/refunds", done="refund_asked")


def withdraw(visit: RequestContext) -> Response:
    with visit.operator.transaction() as acting:
        approvals.withdraw(acting, visit.id_in_path("name"), reason=visit.form.text("reason"))
    return visit.go("/refunds", done="refund_withdrawn")


def pause(visit: RequestContext) -> Response:
    with visit.operator.transaction() as acting:
        run = mass_refund_requests.pause(acting, visit.id_in_path("run"), reason=visit.form.text("reason"))
    return visit.go(f"/refunds/events/{run.cancellation_id}", done="event_steered")


def resume(visit: RequestContext) -> Response:
    with visit.operator.transaction() as acting:
        run = mass_refund_requests.resume(
            acting,
            visit.id_in_path("run"),
            reason=visit.form.text("reason"),
            rate_per_second=visit.form.number("rate", otherwise=20, lowest=1, highest=1000),
            despite_balance=visit.form.text("despite_balance") == "yes",
        )
    return visit.go(f"/refunds/events/{run.cancellation_id}", done="event_steered")


def stop(visit: RequestContext) -> Response:
    with visit.operator.transaction() as acting:
        run = mass_refund_requests.stop(acting, visit.id_in_path("run"), reason=visit.form.text("reason"))
    return visit.go(f"/refunds/events/{run.cancellation_id}", done="event_steered")


def _view(tx: Tx, visit: RequestContext) -> MassRefundView:
    run = mass_refunds.get(tx, visit.id_in_path("run"))
    if run is None:
        raise PageError(404, "no event was cancelled under this id")
    return MassRefundView(run, refund_views.fates(tx, run), refund_views.refusals(tx, run))
