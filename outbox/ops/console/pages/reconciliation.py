"""Reconciliation: what does not fit between the book and the bank, when that was last looked at, how events came."""

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
from outbox.ops.console.responses import PageError
from outbox.ops.console.visit import RequestContext
from outbox.requests.operators.cases import accept_case

PER_PAGE = 50
SHOWN_RUNS = 6
SHOWN_HOURS = 12
STATES = ("open", "closed", "all")


def index(visit: RequestContext) -> Response:
    state, kind = visit.query.text("state") or "open", visit.query.text("type")
    wanted: dict[str, Any] = {"state": None if state == "all" else state, "type": kind or None}
    with visit.db.ops_transaction() as tx:
        cases = case_views.find(tx, **wanted, limit=PER_PAGE + 1)
        counts = {count.type: count.open for count in case_views.open_counts(tx)}
        runs = reconciliation_runs.latest(tx, limit=SHOWN_RUNS)
        last_done = {span: reconciliation_runs.last_done(tx, span) for span in ("rolling", "daily")}
        hours, sweep = event_coverage.coverage(tx, hours=24), event_coverage.standing(tx)
        names = tenants.names(tx)
    return visit.page(
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
        **_ledger(visit.db),
    )


def _covered(hours: list[Coverage]) -> float | None:
    """The share of Stripe's events that came by webhook; None when there was none."""
    listed = sum(hour.listed for hour in hours)
    return sum(hour.by_webhook for hour in hours) / listed if listed else None


def _ledger(db: Database) -> dict[str, Any]:
    """The trial balance and what is not sealed; a ledger too large to be summed while a page loads is said to be so."""
    try:
        with db.ops_transaction() as tx:
            totals = ledger_reports.trial_balance(tx)
            return {"totals": totals, "off": ledger_reports.off_balance(totals), "unsealed": hash_chain.unsealed(tx)}
    except psycopg.errors.QueryCanceled:
        return {"totals": None, "off": {}, "unsealed": None}


def case(visit: RequestContext) -> Response:
    with visit.db.ops_transaction() as tx:
        found = case_views.get(tx, visit.id_in_path("case"))
        names = tenants.names(tx)
    if found is None:
        raise PageError(404, "there is no such case")
    return visit.page("case.html", case=found, tenants=names)


def close(visit: RequestContext) -> Response:
    case_id = visit.id_in_path("case")
    with visit.operator.transaction() as acting:
        accept_case(acting, case_id, reason=visit.form.text("reason"))
    return visit.go(f"/reconciliation/cases/{case_id}", done="accepted")
