"""The commands about the books: `fleet ledger`, `fleet cases` and `fleet events`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import AsJson, Expected, Limit, Operator, Reason, Yes, one_of

ledger = typer.Typer(no_args_is_help=True, help="The ledger: trial balance, venues, receivables, and its chain.")
cases = typer.Typer(no_args_is_help=True, help="What does not fit between the book and Stripe.")
events = typer.Typer(no_args_is_help=True, help="Stripe's events, and how they came; ours, told again.")

Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="of one tenant")]
Payment = Annotated[UUID | None, typer.Option("--payment", metavar="ID", help="of one payment")]
CaseState = Annotated[str, typer.Option("--state", metavar="STATE", help="open, closed or all")]
CaseKind = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="missing_in_book, amount_differs, ...")]
CaseId = Annotated[UUID, typer.Argument(metavar="ID", help="the case's id")]
Hours = Annotated[int, typer.Option("--hours", min=1, max=24 * 400, metavar="N", help="so many hours back")]

Since = Annotated[datetime, typer.Option("--since", metavar="TIME", help="from when on they were published, UTC")]
Until = Annotated[datetime | None, typer.Option("--until", metavar="TIME", help="before when, UTC [default: now]")]
About = Annotated[UUID | None, typer.Option("--payment", metavar="ID", help="about one payment (or group) alone")]
EventType = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="payment.succeeded, ticket.minted, ...")]


@ledger.command("trial-balance")
def trial_balance(tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Show every account; exit code 1 when a currency does not add up to zero."""
    from outbox.ops.reconciliation.show import show_trial_balance

    show_trial_balance(tenant, as_json=as_json)


@ledger.command("venues")
def venues(tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Show what each venue is owed, what disputes hold of it, and the net."""
    from outbox.ops.reconciliation.show import show_venues

    show_venues(tenant, as_json=as_json)


@ledger.command("receivables")
def receivables(tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Show what stands open, by age: refunds that came back, disputed funds, venues that owe us."""
    from outbox.ops.reconciliation.show import show_receivables

    show_receivables(tenant, as_json=as_json)


@ledger.command("verify")
def verify(expect: Expected = None, as_json: AsJson = False) -> None:
    """Walk the chain over all journals; exit code 1 names the first broken link."""
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
    """List cases, the newest first."""
    from db.reconciliation.cases import CaseType
    from outbox.ops.reconciliation.show import list_cases

    one_of("--state", state, ("open", "closed", "all"))
    if kind is not None:
        one_of("--type", kind, tuple(CaseType))
    list_cases(state, kind, tenant, payment, limit=limit, as_json=as_json)


@cases.command("show")
def show_case(case: CaseId, as_json: AsJson = False) -> None:
    """Show one case: what is off, since when, and what to do."""
    from outbox.ops.reconciliation.show import show_case

    show_case(case, as_json=as_json)


@cases.command("close")
def close_case(case: CaseId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Accept a case as it is; the same finding is not opened again. Cases that are put right close by themselves."""
    from outbox.ops.reconciliation.show import close_case

    close_case(case, operator, reason, as_json=as_json)


@cases.command("runs")
def list_runs(limit: Limit = 20, as_json: AsJson = False) -> None:
    """List the comparisons with Stripe's balance transactions, the newest first."""
    from outbox.ops.reconciliation.show import list_runs

    list_runs(limit=limit, as_json=as_json)


@events.command("coverage")
def coverage(hours: Hours = 24, as_json: AsJson = False) -> None:
    """Show for each hour how many events Stripe lists, and by which road they came; exit code 1: nobody sweeps."""
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
    """Publish our own events to other services again, under the same ids: for a broker that lost its data."""
    from db.queue.published_events import EventFilter
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.queues.republish import republish

    ends = until.replace(tzinfo=UTC) if until else datetime.now(UTC)  # else those that follow would never end
    span = EventFilter(since.replace(tzinfo=UTC), ends, payment, kind)
    republish(span, CommandOptions(operator, reason, yes, as_json))


def add_to(app: typer.Typer) -> None:
    """Hang the books into the `fleet` command."""
    app.add_typer(ledger, name="ledger")
    app.add_typer(cases, name="cases")
    app.add_typer(events, name="events")
