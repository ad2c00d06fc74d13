"""The commands for refunds and mass refunds: `fleet refunds`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import AsJson, Limit, Operator, Patience, Reason, Yes, one_of

refunds = typer.Typer(
    no_args_is_help=True, help="Refunds, amounts owed to buyers, and mass refunds of canceled events."
)

STATES = ("moving", "requested", "sending", "pending", "requires_action", "succeeded", "failed", "canceled", "refused")
State = Annotated[str, typer.Option("--state", metavar="STATE", help="moving, succeeded, failed, ... or all")]
Source = Annotated[
    str | None,
    typer.Option("--source", metavar="SOURCE", help="api, ops, order_event, event_cancellation, outside, ..."),
]
Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="tenant id")]
Payment = Annotated[UUID | None, typer.Option("--payment", metavar="ID", help="payment id")]
RefundName = Annotated[str, typer.Argument(metavar="ID", help="refund id, Stripe refund id or request id")]
RefundId = Annotated[UUID, typer.Argument(metavar="REFUND", help="the refund's id")]
PaymentId = Annotated[UUID, typer.Argument(metavar="PAYMENT", help="the payment's id")]
Minor = Annotated[
    int | None,
    typer.Option("--minor", min=1, metavar="N", help="amount in minor units (cents) (default: the remaining balance)"),
]
Ticket = Annotated[
    list[UUID] | None, typer.Option("--ticket", metavar="ID", help="a ticket to refund at its face price; repeatable")
]
Because = Annotated[
    str, typer.Option("--as", metavar="CODE", help="requested_by_customer, duplicate, fraudulent, order_cancelled")
]
Name = Annotated[UUID, typer.Argument(metavar="ID", help="request id or mass refund id")]
EventId = Annotated[UUID, typer.Argument(metavar="EVENT", help="the event's id")]
RunName = Annotated[UUID | None, typer.Argument(metavar="[ID]", help="event id or mass refund id (default: all)")]
RunId = Annotated[UUID, typer.Argument(metavar="ID", help="the mass refund's id")]
Rate = Annotated[int, typer.Option("--rate", min=1, max=1000, metavar="N", help="orders refunded per second")]
NewRate = Annotated[
    int | None, typer.Option("--rate", min=1, max=1000, metavar="N", help="new rate, in orders per second")
]
Despite = Annotated[
    bool,
    typer.Option(
        "--despite-balance",
        help="continue if the balance at Stripe is insufficient; refunds then stay pending at Stripe",
    ),
]
Watch = Annotated[bool, typer.Option("--watch", help="show progress until it is done")]


@refunds.command("list")
def list_refunds(
    state: State = "all",
    source: Source = None,
    tenant: Tenant = None,
    payment: Payment = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List refunds, most recently changed first."""
    from outbox.ops.refunds.show import list_refunds

    one_of("--state", state, (*STATES, "all"))
    list_refunds(state, source, tenant, payment, limit=limit, as_json=as_json)


@refunds.command("show")
def show_refund(name: RefundName, as_json: AsJson = False) -> None:
    """Show one refund with its history, or the outcome of a request."""
    from outbox.ops.refunds.show import show_refund

    show_refund(name, as_json=as_json)


@refunds.command("obligations")
def obligations(limit: Limit = 100, as_json: AsJson = False) -> None:
    """Show amounts owed to buyers after failed refunds, oldest first; exits 1 if there are any."""
    from outbox.ops.refunds.show import show_obligations

    show_obligations(limit=limit, as_json=as_json)


@refunds.command("create")
def create(
    payment: PaymentId,
    minor: Minor = None,
    ticket: Ticket = None,
    because: Because = "requested_by_customer",
    operator: Operator = None,
    reason: Reason = None,
    yes: Yes = False,
    wait: Patience = 60,
    as_json: AsJson = False,
) -> None:
    """Refund a payment: the remaining balance, an amount or tickets. Exits 3 if approval is required."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.refunds.decide import create_refund

    create_refund(payment, minor, ticket or [], because, CommandOptions(operator, reason, yes, as_json, wait))


@refunds.command("retry")
def retry(
    refund: RefundId,
    operator: Operator = None,
    reason: Reason = None,
    yes: Yes = False,
    wait: Patience = 60,
    as_json: AsJson = False,
) -> None:
    """Retry a failed refund as a new refund. Exits 3 if approval is required."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.refunds.decide import retry_refund

    retry_refund(refund, CommandOptions(operator, reason, yes, as_json, wait))


@refunds.command("approve")
def approve(name: Name, operator: Operator = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Approve a refund or mass refund that another operator requested."""
    from outbox.ops.approvals import approve
    from outbox.ops.prompts import CommandOptions

    approve(name, CommandOptions(operator, None, yes, as_json), wait=False)


@refunds.command("withdraw")
def withdraw(name: Name, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Withdraw a refund request that awaits approval."""
    from outbox.ops.approvals import withdraw
    from outbox.ops.prompts import CommandOptions

    withdraw(name, CommandOptions(operator, reason, as_json=as_json))


@refunds.command("cancel-event")
def cancel_event(
    event: EventId,
    tenant: Tenant = None,
    rate: Rate = 20,
    despite_balance: Despite = False,
    watch: Watch = False,
    operator: Operator = None,
    reason: Reason = None,
    yes: Yes = False,
    wait: Patience = 120,
    as_json: AsJson = False,
) -> None:
    """Cancel an event: refund all of its orders in full, at a limited rate. Exits 3 if approval is required."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.refunds.decide import cancel_event

    options = CommandOptions(operator, reason, yes, as_json, wait)
    cancel_event(event, tenant, rate, options, despite_balance=despite_balance, watch=watch)


@refunds.command("event-status")
def event_status(
    name: RunName = None, watch: Watch = False, limit: Limit = 20, wait: Patience = 120, as_json: AsJson = False
) -> None:
    """Show the progress of mass refunds and their refunds by state."""
    from outbox.ops.refunds.show import list_runs, show_run

    if name is None:
        list_runs(limit=limit, as_json=as_json)
    else:
        show_run(name, watch=watch, patience_seconds=wait, as_json=as_json)


@refunds.command("pause")
def pause(run: RunId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Pause a mass refund. Refunds already requested continue."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.refunds.decide import steer

    steer("pause", run, CommandOptions(operator, reason, as_json=as_json))


@refunds.command("resume")
def resume(
    run: RunId,
    rate: NewRate = None,
    despite_balance: Despite = False,
    operator: Operator = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Resume a mass refund that is paused or waits for a sufficient balance at Stripe."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.refunds.decide import resume

    resume(run, rate, CommandOptions(operator, reason, as_json=as_json), despite_balance=despite_balance)


@refunds.command("stop")
def stop(
    run: RunId, operator: Operator = None, reason: Reason = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Stop a mass refund for good. New orders of the event are charged again."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.refunds.decide import steer

    steer("stop", run, CommandOptions(operator, reason, yes, as_json))


def add_to(app: typer.Typer) -> None:
    app.add_typer(refunds, name="refunds")
