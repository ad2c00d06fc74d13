"""Money that goes back: cancelled events with their progress, what is owed to buyers again, what waits or failed."""

from dataclasses import dataclass

from starlette.responses import Response

from db.operators import refund_requests as ops_refunds
from db.refunds import mass_refunds as event_cancellations
from db.refunds import views as refund_overview
from db.refunds.mass_refunds import MOVING, EventCancellation
from db.refunds.views import Fate, Refusal
from db.session import Tx
from db.tenants import tenants
from outbox.ops.console.responses import Trouble
from outbox.ops.console.visit import Visit
from outbox.ops.refunds.actions import RefundDesk

SHOWN = 50
SHOWN_RUNS = 10
# What the page shows of single refunds; those that succeeded are found by their payment.
STATES = (*refund_overview.MOVING, *refund_overview.FAILED)


@dataclass(frozen=True, slots=True)
class RunView:
    """A cancelled event as its page shows it, with what became of its payments."""

    run: EventCancellation
    fates: list[Fate]
    refusals: list[Refusal]

    @property
    def is_moving(self) -> bool:
        """Also when it is done: its refunds may still be with the workers, or at Stripe."""
        under_way = any(fate.what == "refund" and fate.state in {"requested", "sending"} for fate in self.fates)
        return self.run.state in MOVING or under_way


def index(visit: Visit) -> Response:
    state = visit.query.text("state")
    states = (state,) if state in STATES else STATES
    with visit.db.ops_transaction() as tx:
        return visit.page(
            "refunds.html",
            runs=event_cancellations.latest(tx, limit=SHOWN_RUNS),
            requests=ops_refunds.waiting(tx, limit=SHOWN),
            owed=refund_overview.obligations(tx, limit=SHOWN),
            refunds=refund_overview.find(tx, states=states, limit=SHOWN),
            tenants=tenants.names(tx),
            state=state if state in STATES else "",
            states=STATES,
        )


def event(visit: Visit) -> Response:
    with visit.db.ops_transaction() as tx:
        view, names = _view(tx, visit), tenants.names(tx)
    return visit.page("cancelled_event.html", view=view, run=view.run, tenants=names)


def event_live(visit: Visit) -> Response:
    """The part of the page that changes while workers are at it."""
    with visit.db.ops_transaction() as tx:
        view, names = _view(tx, visit), tenants.names(tx)
    return visit.page("cancelled_event_live.html", view=view, run=view.run, tenants=names)


def retry(visit: Visit) -> Response:
    wish = RefundDesk(visit.desk).retry(visit.id_in_path("refund"), note=visit.form.text("reason"))
    return visit.go("/refunds", done="refund_waits" if wish.state == "awaiting_approval" else "refund_asked")


def approve(visit: Visit) -> Response:
    approved = RefundDesk(visit.desk).approve(visit.id_in_path("name"))
    if isinstance(approved, EventCancellation):
        return visit.go(f"/refunds/events/{approved.cancellation_id}", done="event_steered")
    return visit.go("/refunds", done="refund_asked")


def withdraw(visit: Visit) -> Response:
    RefundDesk(visit.desk).withdraw(visit.id_in_path("name"), reason=visit.form.text("reason"))
    return visit.go("/refunds", done="refund_withdrawn")


def pause(visit: Visit) -> Response:
    run = RefundDesk(visit.desk).pause(visit.id_in_path("run"), reason=visit.form.text("reason"))
    return visit.go(f"/refunds/events/{run.cancellation_id}", done="event_steered")


def resume(visit: Visit) -> Response:
    run = RefundDesk(visit.desk).resume(
        visit.id_in_path("run"),
        reason=visit.form.text("reason"),
        rate_per_second=visit.form.number("rate", otherwise=20, lowest=1, highest=1000),
        despite_balance=visit.form.text("despite_balance") == "yes",
    )
    return visit.go(f"/refunds/events/{run.cancellation_id}", done="event_steered")


def stop(visit: Visit) -> Response:
    run = RefundDesk(visit.desk).stop(visit.id_in_path("run"), reason=visit.form.text("reason"))
    return visit.go(f"/refunds/events/{run.cancellation_id}", done="event_steered")


def _view(tx: Tx, visit: Visit) -> RunView:
    run = event_cancellations.get(tx, visit.id_in_path("run"))
    if run is None:
        raise Trouble(404, "no event was cancelled under this id")
    return RunView(run, refund_overview.fates(tx, run), refund_overview.refusals(tx, run))
