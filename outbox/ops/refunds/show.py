"""Read-only refund commands: refunds, operator requests, obligations, and the progress of cancelled events."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from rich.console import Group
from rich.table import Table
from rich.text import Text

from db.operators import requests
from db.operators.requests import OperatorRequest
from db.refunds import mass_refunds
from db.refunds import views as refund_views
from db.refunds.mass_refunds import MassRefund
from db.refunds.states import ACTIVE_MASS_REFUNDS
from db.refunds.views import MOVING, Obligation, OutcomeCount, RefundLine, RefundStateChange, RefusalCount
from db.session import Database
from db.text import uuid_or_none
from outbox.ops import output
from outbox.ops.dead_letters import explanations
from outbox.ops.labels import label
from outbox.ops.output import facts, out, plain, print_json, record, said, table
from outbox.ops.prompts import follow
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles


@troubles()
def list_refunds(
    state: str, source: str | None, tenant_id: UUID | None, payment_id: UUID | None, *, limit: int, as_json: bool
) -> None:
    """Print refunds, newest first, then pending requests of operators on standard error."""
    states = None if state == "all" else MOVING if state == "moving" else (state,)
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        narrow = {"states": states, "source": source, "tenant_id": tenant_id, "payment_id": payment_id}
        refunds = refund_views.find(tx, **narrow, limit=limit)  # type: ignore[arg-type]  # each under its own name
        waiting = requests.waiting(tx, limit=limit, kinds=["refund"])
    if as_json:
        print_json(
            {
                "refunds": [record(refund) for refund in refunds],
                "requests": [record(request) for request in waiting],
            }
        )
        return
    if refunds:
        out().print(_lines(refunds))
    said().print(f"{_counted(len(refunds))}." if refunds else "No refunds match.", style="dim")
    for request in waiting:
        said().print(plain(f"{_request(request)}; {_next_step(request)}"))


def _lines(refunds: Sequence[RefundLine]) -> Table:
    shown = table("refund", "age", "state", "amount", "reason", "source", "details", right=("age", "amount"))
    shown.columns[0].no_wrap = True
    for refund in refunds:
        why = refund.state_reason or refund.note
        amount = output.money(refund.amount_minor, refund.currency)
        origin = (refund.reason.replace("_", " "), refund.source.replace("_", " "))
        shown.add_row(
            str(refund.refund_id), _age(refund.state_since), output.state(refund.state), amount, *origin, plain(why)
        )
    return shown


def _request(request: OperatorRequest) -> str:
    much = output.money(request.amount_minor, request.currency) if request.amount_minor else "the balance"
    return f"{request.created_by} requested a refund of {much} of payment {request.payment_id}: {label(request.state)}"


def _next_step(request: OperatorRequest) -> str:
    if request.state == "awaiting_approval":
        return f"a second operator approves it with: fleet refunds approve {request.request_id}"
    if request.state == "asked":
        return "a worker is processing it"
    return request.state_reason or f"refund {request.refund_id}"


@troubles()
def show_refund(name: str, *, as_json: bool) -> None:
    """Print a refund by our id, Stripe's, or the id of the request that made it.

    Raises:
        LeaveError: not found (exit code 1).
    """
    named = uuid_or_none(name)
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        request = requests.get(tx, named) if named else None
        if request is not None and request.kind != "refund":
            request = None
        refund = refund_views.by_name(tx, str(request.refund_id) if request and request.refund_id else name)
        moves = refund_views.history(tx, refund) if refund else []
    if request is None and refund is None:
        raise LeaveError(REFUSED, f"Refund {name} not found.")
    if as_json:
        document = {"request": record(request) if request else None, "refund": record(refund) if refund else None}
        print_json(document | {"history": [record(move) for move in moves]})
        return
    if request is not None:
        out().print(plain(f"{_request(request)}; {_next_step(request)}"))
    if refund is not None:
        _print_refund(refund, moves)


def _print_refund(refund: RefundLine, moves: Sequence[RefundStateChange]) -> None:
    much = output.money(refund.amount_minor, refund.currency)
    title = Text("Refund ", "bold").append(str(refund.refund_id)).append("  ").append(output.state(refund.state))
    out().print(title.append(f"  {much}"))
    out().print(facts({
        "reason": refund.reason.replace("_", " "),
        "note": refund.note or None,
        "state reason": refund.state_reason,
        "requested by": f"{refund.requested_by} ({refund.source.replace('_', ' ')})",
        "tickets": ", ".join(map(str, refund.ticket_ids)) or None,
        "payment": refund.payment_id,
        "order": refund.order_id,
        "Stripe refund": refund.stripe_refund_id,
    }))  # fmt: skip
    shown = table("when (UTC)", "state change", "reason", "by")
    for move in moves:
        moved = f"{move.from_state} -> {move.to_state}" if move.from_state else move.to_state
        shown.add_row(f"{move.at:%Y-%m-%d %H:%M:%S}", moved, plain(move.reason or ""), plain(move.by))
    out().print(shown)
    if refund.state in {"failed", "refused", "canceled"}:
        said().print(f"\nRetry it:  fleet refunds retry {refund.refund_id} --reason WHY", style="dim")


@troubles()
def show_obligations(*, limit: int, as_json: bool) -> None:
    """Exit code 1 when a buyer is owed an amount."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        obligations = refund_views.obligations(tx, limit=limit)
    if as_json:
        print_json({"obligations": [record(obligation) for obligation in obligations]})
    elif obligations:
        out().print(_obligations(obligations))
    if obligations:
        raise LeaveError(
            REFUSED, f"Owed to buyers: {_counted(len(obligations))}. Retry one: fleet refunds retry REFUND"
        )
    if not as_json:
        said().print("No amounts owed.", style="dim")


def _obligations(obligations: Sequence[Obligation]) -> Table:
    shown = table("refund", "owed for", "owed", "in the ledger", "failure", right=("owed for", "owed", "in the ledger"))
    shown.columns[0].no_wrap = True
    for obligation in obligations:
        amounts = [
            output.money(minor, obligation.currency) for minor in (obligation.amount_minor, obligation.payable_minor)
        ]
        what = output.state(obligation.state).append(f", {obligation.state_reason}" if obligation.state_reason else "")
        shown.add_row(str(obligation.refund_id), _age(obligation.owed_since), *amounts, what)
    return shown


@troubles()
def list_runs(*, limit: int, as_json: bool) -> None:
    """Print cancelled events with the progress of their refunds."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        found = mass_refunds.latest(tx, limit=limit)
    if as_json:
        print_json({"cancellations": [record(run) for run in found]})
        return
    shown = table("cancellation", "age", "state", "orders", "refunds", "cancelled", "reason", right=("age", "orders"))
    shown.columns[0].no_wrap = True
    for run in found:
        counts = (f"{run.taken} of {run.total}", str(run.refunds_asked), str(run.cancellations_asked))
        why = plain(run.state_reason or run.note)
        shown.add_row(str(run.cancellation_id), _age(run.created_at), output.state(run.state), *counts, why)
    out().print(shown if found else "No cancelled events.")


@troubles()
def show_run(name: UUID, *, watch: bool, patience_seconds: float, as_json: bool) -> None:
    """Print one cancelled event; `watch` follows it first. Raises LeaveError when there is none (exit code 1)."""
    with operator_session() as operator:
        run = _run(operator.db, name)
        if watch:
            run = until_done(operator.db, run.cancellation_id, patience_seconds=patience_seconds)
        print_run(operator.db, run, as_json=as_json)


def _run(db: Database, name: UUID) -> MassRefund:
    """By its own id or its event's id; the newest one if several tenants use that event id."""
    with db.ops_transaction() as tx:
        run = mass_refunds.get(tx, name) or mass_refunds.latest_of_event(tx, name)
    if run is None:
        raise LeaveError(REFUSED, f"Cancelled event {name} not found.")
    return run


def until_done(db: Database, cancellation_id: UUID, *, patience_seconds: float) -> MassRefund:
    """Follow it with a progress bar. Raises LeaveError when there is no progress for that long; the run continues."""
    return follow(
        lambda: _run(db, cancellation_id),
        title="refunding",
        count=lambda run: (run.taken, run.total),
        ended=lambda run: run.state not in ACTIVE_MASS_REFUNDS,
        patience_seconds=patience_seconds,
        standing_still=_standing_still,
    )


def _standing_still(run: MassRefund) -> str:
    why = run.state_reason or f"it is {run.state.replace('_', ' ')}"
    return (
        f"No progress at {run.taken} of {run.total} orders: {why}. The run continues in the background; "
        f"`fleet refunds event-status {run.cancellation_id}` shows it."
    )


def print_run(db: Database, run: MassRefund, *, as_json: bool) -> None:
    """Print the progress of a mass refund, the outcomes of its refunds, and the payments that could not be refunded."""
    with db.ops_transaction() as tx:
        fates, refusals = refund_views.fates(tx, run), refund_views.refusals(tx, run)
    if as_json:
        print_json(
            record(run)
            | {"taken": run.taken, "fates": [record(fate) for fate in fates]}
            | {"refusals": [record(refusal) for refusal in refusals]}
        )
        return
    title = Text("Event ", "bold").append(str(run.event_id)).append("  ").append(output.state(run.state))
    out().print(Group(title, facts(_facts(run)), "", _fates(fates)))
    for refusal in refusals:
        out().print(_refusal(refusal))


def _facts(run: MassRefund) -> dict[str, object]:
    people = run.created_by + (f", approved by {run.approved_by}" if run.approved_by else "")
    return {
        "cancellation": run.cancellation_id,
        "reason": run.note,
        "requested by": f"{people}, {_age(run.created_at)} ago",
        "orders": f"{run.taken} of {run.total} processed, {run.rate_per_second} per second",
        "refunds requested": run.refunds_asked,
        "cancelled before capture": run.cancellations_asked,
        "nothing left to refund": run.nothing_left,
        "could not be refunded": run.refused or None,
        "waiting because": run.state_reason,
        "last progress": f"{_age(run.moved_at)} ago",
    }


def _fates(outcome_counts: Sequence[OutcomeCount]) -> Table:
    shown = table("outcome", "state", "count", "amount", right=("count", "amount"))
    for fate in outcome_counts:
        what = "refunds" if fate.what == "refund" else "payments cancelled"
        shown.add_row(what, output.state(fate.state), str(fate.count), output.money(fate.amount_minor, fate.currency))
    return shown


def _refusal(refusal: RefusalCount) -> Text:
    return plain(f"payment {refusal.payment_id} could not be refunded: {refusal.reason}", "red")


def _counted(count: int) -> str:
    return "1 refund" if count == 1 else f"{count} refunds"


def _age(at: datetime) -> str:
    return explanations.age(at, datetime.now(UTC))
