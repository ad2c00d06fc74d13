"""Disputes: the list by deadline, the details of one with its movements and evidence, and the answer to the bank."""

from typing import Any

from starlette.responses import Response

from db.disputes import booking as dispute_booking
from db.disputes import disputes, fraud_warnings
from db.disputes import views as dispute_views
from db.disputes.disputes import Dispute
from db.session import Tx
from messages.ids import DisputeId
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.responses import PageError
from outbox.requests import dispute_evidence
from outbox.requests.dispute_evidence import FIELDS, LONGEST_FIELD
from outbox.requests.operators.disputes import accept_loss, draft_evidence, submit_evidence
from outbox.requests.refusals import RefusedError

PER_PAGE = 50
SHOWN_WARNINGS = 20


def index(context: RequestContext) -> Response:
    """GET /disputes: by deadline, with early fraud warnings; an unknown selection shows all."""
    selection = context.query.text("state") or "open"
    if selection not in dispute_views.SELECTIONS:
        selection = "all"
    page = context.query.number("page", otherwise=1, lowest=1, highest=100_000)
    with context.db.ops_transaction() as tx:
        matches = dispute_views.find(tx, selection=selection, limit=PER_PAGE + 1, offset=(page - 1) * PER_PAGE)
        warnings = fraud_warnings.latest(tx, limit=SHOWN_WARNINGS)
    return context.page(
        "disputes.html",
        disputes=matches[:PER_PAGE],
        has_more=len(matches) > PER_PAGE,
        page=page,
        selection=selection,
        selections=list(dispute_views.SELECTIONS),
        warnings=warnings,
    )


def detail(context: RequestContext) -> Response:
    """GET /disputes/{id}: movements, history, evidence and its gaps; 404 when there is none."""
    with context.db.ops_transaction() as tx:
        dispute = _get_dispute(tx, context)
        shown: dict[str, Any] = {
            "dispute": dispute,
            "state_changes": dispute_views.history(tx, dispute.dispute_id),
            "movements": dispute_booking.movements(tx, dispute.dispute_id),
            "gaps": dispute_evidence.draft(tx, dispute).gaps if dispute.is_answerable else (),
        }
    return context.page("dispute.html", fields=FIELDS, longest=LONGEST_FIELD, **shown)


def draft(context: RequestContext) -> Response:
    """Save the form fields as the draft of the evidence; with `rebuild`, collect it again from our records instead."""
    dispute_id = _id(context)
    rebuild = bool(context.form.text("rebuild"))
    fields = {} if rebuild else {name: context.form.text(name).replace("\r\n", "\n") for name in FIELDS}
    with context.operator.transaction() as acting:
        draft_evidence(acting, dispute_id, fields, rebuild=rebuild)
    return context.redirect(f"/disputes/{dispute_id}", done="drafted")


def decide(context: RequestContext) -> Response:
    """Submit the evidence or accept the loss; asks for confirmation, because both are final."""
    decision, reason = context.form.text("decision"), context.form.text("reason")
    if decision not in {"submit", "accept"}:
        raise PageError(422, "choose whether to submit the evidence or to accept the dispute")
    if not reason:
        raise RefusedError("give a reason: this decision is final")
    with context.db.ops_transaction() as tx:
        dispute = _get_dispute(tx, context)
    if context.form.text("confirmed") != "yes":
        return context.page("dispute_decide.html", dispute=dispute, decision=decision, reason=reason)
    with context.operator.transaction() as acting:
        (submit_evidence if decision == "submit" else accept_loss)(acting, dispute.dispute_id, reason=reason)
    return context.redirect(f"/disputes/{dispute.dispute_id}", done="decided")


def _get_dispute(tx: Tx, context: RequestContext) -> Dispute:
    dispute = disputes.get(tx, _id(context))
    if dispute is None:
        raise PageError(404, "dispute not found")
    return dispute


def _id(context: RequestContext) -> DisputeId:
    return str(context.request.path_params["dispute"])
