"""Reconciliation: open cases between the ledger and Stripe, the last comparison runs, and webhook coverage."""

from typing import Any

import psycopg
from starlette.responses import Response

from db.ledger import hash_chain
from db.ledger import reports as ledger_reports
from db.reconciliation import case_views
from db.reconciliation import runs as reconciliation_runs
from db.reconciliation.cases import CaseType
from db.session import Database
from db.tenants import tenants
from db.webhooks import event_coverage
from db.webhooks.event_coverage import Coverage
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.responses import PageError
from outbox.requests.operators.cases import accept_case

PER_PAGE = 50
SHOWN_RUNS = 6
SHOWN_HOURS = 12
STATES = ("open", "closed", "all")


def index(context: RequestContext) -> Response:
    """GET /reconciliation: cases, runs, coverage and the trial balance, which is left out when it takes too long."""
    state, kind = context.query.text("state") or "open", context.query.text("type")
    filters: dict[str, Any] = {"state": None if state == "all" else state, "type": kind or None}
    with context.db.ops_transaction() as tx:
        cases = case_views.find(tx, **filters, limit=PER_PAGE + 1)
        counts = {count.type: count.open for count in case_views.open_counts(tx)}
        runs = reconciliation_runs.latest(tx, limit=SHOWN_RUNS)
        last_done = {span: reconciliation_runs.last_done(tx, span) for span in ("rolling", "daily")}
        hours, sweep = event_coverage.coverage(tx, hours=24), event_coverage.standing(tx)
        names = tenants.names(tx)
    return context.page(
        "reconciliation.html",
        cases=cases[:PER_PAGE],
        has_more=len(cases) > PER_PAGE,
        counts=counts,
        state=state,
        kind=kind,
        states=STATES,
        kinds=list(CaseType),
        runs=runs,
        last_done=last_done,
        hours=hours[:SHOWN_HOURS],
        covered=_covered(hours),
        sweep=sweep,
        tenants=names,
        **_ledger(context.db),
    )


def _covered(hours: list[Coverage]) -> float | None:
    """The fraction of Stripe's events that arrived by webhook; None when there were no events."""
    listed = sum(hour.listed for hour in hours)
    return sum(hour.by_webhook for hour in hours) / listed if listed else None


def _ledger(db: Database) -> dict[str, Any]:
    """The trial balance and the number of unsealed journals; None for both when the ledger is too large to sum within
    the timeout.
    """
    try:
        with db.ops_transaction() as tx:
            totals = ledger_reports.trial_balance(tx)
            return {
                "totals": totals,
                "unbalanced": ledger_reports.off_balance(totals),
                "unsealed": hash_chain.unsealed(tx),
            }
    except psycopg.errors.QueryCanceled:
        return {"totals": None, "unbalanced": {}, "unsealed": None}


def case(context: RequestContext) -> Response:
    """GET /reconciliation/cases/{id}: one case; 404 when there is none."""
    with context.db.ops_transaction() as tx:
        details = case_views.get(tx, context.id_in_path("case"))
        names = tenants.names(tx)
    if details is None:
        raise PageError(404, "case not found")
    return context.page("case.html", case=details, tenants=names)


def close(context: RequestContext) -> Response:
    """POST: close a case without a correction."""
    case_id = context.id_in_path("case")
    with context.operator.transaction() as acting:
        accept_case(acting, case_id, reason=context.form.text("reason"))
    return context.redirect(f"/reconciliation/cases/{case_id}", done="accepted")
