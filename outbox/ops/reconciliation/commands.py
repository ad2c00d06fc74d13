"""The commands for ledger and reconciliation: `fleet ledger`, `fleet cases`, `fleet events`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import AsJson, Expected, Limit, Operator, Reason, Yes, one_of

ledger = typer.Typer(no_args_is_help=True, help="Ledger reports and hash chain verification.")
cases = typer.Typer(no_args_is_help=True, help="Reconciliation cases: differences between the database and Stripe.")
events = typer.Typer(no_args_is_help=True, help="Coverage of Stripe events; republish our own events.")

Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="tenant id")]
Payment = Annotated[UUID | None, typer.Option("--payment", metavar="ID", help="payment id")]
CaseState = Annotated[str, typer.Option("--state", metavar="STATE", help="open, closed or all")]
CaseKind = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="missing_in_book, amount_differs, ...")]
CaseId = Annotated[UUID, typer.Argument(metavar="ID", help="the case's id")]
Hours = Annotated[int, typer.Option("--hours", min=1, max=24 * 400, metavar="N", help="number of past hours")]

Since = Annotated[datetime, typer.Option("--since", metavar="TIME", help="published at or after, UTC")]
Until = Annotated[datetime | None, typer.Option("--until", metavar="TIME", help="published before, UTC (default: now)")]
About = Annotated[UUID | None, typer.Option("--payment", metavar="ID", help="payment id or group id")]
EventType = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="payment.succeeded, ticket.minted, ...")]


@ledger.command("trial-balance")
def trial_balance(tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Show the trial balance; exits 1 if a currency does not sum to zero."""
    from outbox.ops.reconciliation.show import show_trial_balance

    show_trial_balance(tenant, as_json=as_json)


@ledger.command("venues")
def venues(tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Show for each venue the balance owed, the amount held for disputes, and the net."""
    from outbox.ops.reconciliation.show import show_venues

    show_venues(tenant, as_json=as_json)


@ledger.command("receivables")
def receivables(tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Show open receivables by age: returned refunds, disputed funds, negative venue balances."""
    from outbox.ops.reconciliation.show import show_receivables

    show_receivables(tenant, as_json=as_json)


@ledger.command("verify")
def verify(expect: Expected = None, as_json: AsJson = False) -> None:
    """Verify the hash chain of the ledger; exits 1 and names the first broken entry."""
    from outbox.ops.reconciliation.show import verify_ledger

    verify_ledger(expect, as_json=as_json)


@cases.command("list")
def list_cases(
    state: CaseState = "open",
    kind: CaseKind = None,
    tenant: Tenant = None,
    payment: Payment = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List cases, newest first."""
    from db.reconciliation.cases import CaseType
    from outbox.ops.reconciliation.show import list_cases

    one_of("--state", state, ("open", "closed", "all"))
    if kind is not None:
        one_of("--type", kind, tuple(CaseType))
    list_cases(state, kind, tenant, payment, limit=limit, as_json=as_json)


@cases.command("show")
def show_case(case: CaseId, as_json: AsJson = False) -> None:
    """Show one case: the difference, its age and how to resolve it."""
    from outbox.ops.reconciliation.show import show_case

    show_case(case, as_json=as_json)


@cases.command("close")
def close_case(case: CaseId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Close a case as accepted; the same finding is not opened again. Resolved cases close automatically."""
    from outbox.ops.reconciliation.show import close_case

    close_case(case, operator, reason, as_json=as_json)


@cases.command("runs")
def list_runs(limit: Limit = 20, as_json: AsJson = False) -> None:
    """List reconciliation runs, newest first."""
    from outbox.ops.reconciliation.show import list_runs

    list_runs(limit=limit, as_json=as_json)


@events.command("coverage")
def coverage(hours: Hours = 24, as_json: AsJson = False) -> None:
    """Show Stripe events per hour, by webhook and by sweep; exits 1 if the event sweep is not running."""
    from outbox.ops.reconciliation.show import show_coverage

    show_coverage(hours=hours, as_json=as_json)


@events.command("republish")
def republish(
    since: Since,
    until: Until = None,
    payment: About = None,
    kind: EventType = None,
    operator: Operator = None,
    reason: Reason = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Republish our events to other services with the same ids, after the broker lost data."""
    from db.queue.published_events import EventFilter
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.queues.republish import republish

    ends = until.replace(tzinfo=UTC) if until else datetime.now(UTC)  # else those that follow would never end
    span = EventFilter(since.replace(tzinfo=UTC), ends, payment, kind)
    republish(span, CommandOptions(operator, reason, yes, as_json))


def add_to(app: typer.Typer) -> None:
    """Add the ledger and reconciliation commands to `fleet`."""
    app.add_typer(ledger, name="ledger")
    app.add_typer(cases, name="cases")
    app.add_typer(events, name="events")
