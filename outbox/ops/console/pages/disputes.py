"""Disputes: the list by deadline, one with its money and evidence, and what an operator decides about it."""

from typing import Any

from starlette.responses import Response

from db.disputes import booking as dispute_booking
from db.disputes import disputes, fraud_warnings
from db.disputes import views as dispute_views
from db.disputes.disputes import Dispute
from db.session import Tx
from messages.ids import DisputeId
from outbox.ops.console.responses import PageError
from outbox.ops.console.visit import RequestContext
from outbox.requests import dispute_evidence
from outbox.requests.dispute_evidence import FIELDS, LONGEST_FIELD
from outbox.requests.operators.disputes import accept_loss, draft_evidence, submit_evidence
from outbox.requests.refusals import RefusedError

PER_PAGE = 50
SHOWN_WARNINGS = 20


def index(visit: RequestContext) -> Response:
    selection = visit.query.text("state") or "open"
    if selection not in dispute_views.SELECTIONS:
        selection = "all"
    page = visit.query.number("page", otherwise=1, lowest=1, highest=100_000)
    with visit.db.ops_transaction() as tx:
        found = dispute_views.find(tx, selection=selection, limit=PER_PAGE + 1, offset=(page - 1) * PER_PAGE)
        warned = fraud_warnings.latest(tx, limit=SHOWN_WARNINGS)
    return visit.page(
        "disputes.html",
        found=found[:PER_PAGE],
        has_more=len(found) > PER_PAGE,
        page=page,
        selection=selection,
        selections=list(dispute_views.SELECTIONS),
        warnings=warned,
    )


def detail(visit: RequestContext) -> Response:
    with visit.db.ops_transaction() as tx:
        dispute = _found(tx, visit)
        shown: dict[str, Any] = {
            "dispute": dispute,
            "moves": dispute_views.history(tx, dispute.dispute_id),
            "movements": dispute_booking.movements(tx, dispute.dispute_id),
            "gaps": dispute_evidence.draft(tx, dispute).gaps if dispute.is_answerable else (),
        }
    return visit.page("dispute.html", fields=FIELDS, longest=LONGEST_FIELD, **shown)


def draft(visit: RequestContext) -> Response:
    """Keep the fields of the form as the evidence; with `rebuild`, assemble it anew instead."""
    dispute_id = _id(visit)
    rebuild = bool(visit.form.text("rebuild"))
    fields = {} if rebuild else {name: visit.form.text(name).replace("\r\n", "\n") for name in FIELDS}
    with visit.operator.transaction() as acting:
        draft_evidence(acting, dispute_id, fields, rebuild=rebuild)
    return visit.go(f"/disputes/{dispute_id}", done="drafted")


def decide(visit: RequestContext) -> Response:
    """Submit the evidence or accept the loss; asks once more, because neither can be taken back."""
    wish, reason = visit.form.text("wish"), visit.form.text("reason")
    if wish not in {"submit", "accept"}:
        raise PageError(422, "say whether to submit the evidence or to accept the dispute")
    if not reason:
        raise RefusedError("say why, in a few words: it cannot be taken back")
    with visit.db.ops_transaction() as tx:
        dispute = _found(tx, visit)
    if visit.form.text("confirmed") != "yes":
        return visit.page("dispute_decide.html", dispute=dispute, wish=wish, reason=reason)
    with visit.operator.transaction() as acting:
        (submit_evidence if wish == "submit" else accept_loss)(acting, dispute.dispute_id, reason=reason)
    return visit.go(f"/disputes/{dispute.dispute_id}", done="decided")


def _found(tx: Tx, visit: RequestContext) -> Dispute:
    dispute = disputes.get(tx, _id(visit))
    if dispute is None:
        raise PageError(404, "there is no such dispute")
    return dispute


def _id(visit: RequestContext) -> DisputeId:
    return str(visit.request.path_params["dispute"])
