"""The commands about money that goes back: `fleet refunds`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import AsJson, Limit, Operator, Patience, Reason, Yes, one_of

refunds = typer.Typer(no_args_is_help=True, help="Refunds, what is owed to buyers, and cancelled events.")

STATES = ("moving", "requested", "sending", "pending", "requires_action", "succeeded", "failed", "canceled", "refused")
State = Annotated[
    str, typer.Option("--state", metavar="STATE", help="moving, succeeded, failed, ... (Stripe's words) or all")
]
Source = Annotated[
    str | None,
    typer.Option("--source", metavar="SOURCE", help="api, ops, order_event, event_cancellation, outside, ..."),
]
Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="of one tenant")]
Payment = Annotated[UUID | None, typer.Option("--payment", metavar="ID", help="of one payment")]
RefundName = Annotated[str, typer.Argument(metavar="ID", help="refund id, Stripe's refund id, or a request's id")]
RefundId = Annotated[UUID, typer.Argument(metavar="REFUND", help="the refund's id")]
PaymentId = Annotated[UUID, typer.Argument(metavar="PAYMENT", help="the payment's id")]
Minor = Annotated[
    int | None,
    typer.Option("--minor", min=1, metavar="N", help="in minor units (cents) [default: whatever is left]"),
]
Ticket = Annotated[list[UUID] | None, typer.Option("--ticket", metavar="ID", help="a ticket, at its face price")]
Because = Annotated[
    str, typer.Option("--as", metavar="CODE", help="requested_by_customer, duplicate, fraudulent, order_cancelled")
]
Name = Annotated[UUID, typer.Argument(metavar="ID", help="the request's or the cancellation's id")]
EventId = Annotated[UUID, typer.Argument(metavar="EVENT", help="the event's id")]
RunName = Annotated[UUID | None, typer.Argument(metavar="[ID]", help="of an event or a cancellation [default: all]")]
RunId = Annotated[UUID, typer.Argument(metavar="ID", help="the cancellation's id")]
Rate = Annotated[int, typer.Option("--rate", min=1, max=1000, metavar="N", help="orders a second")]
NewRate = Annotated[
    int | None, typer.Option("--rate", min=1, max=1000, metavar="N", help="orders a second from now on")
]
Despite = Annotated[
    bool, typer.Option("--despite-balance", help="go on when Stripe's balance is too small; refunds then wait there")
]
Watch = Annotated[bool, typer.Option("--watch", help="follow it until it is done, with a bar on a terminal")]


@refunds.command("list")
def list_refunds(
    state: State = "all",
    source: Source = None,
    tenant: Tenant = None,
    payment: Payment = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List refunds, those that moved last first."""
    from outbox.ops.refunds.show import list_refunds

    one_of("--state", state, (*STATES, "all"))
    list_refunds(state, source, tenant, payment, limit=limit, as_json=as_json)


@refunds.command("show")
def show_refund(name: RefundName, as_json: AsJson = False) -> None:
    """Show one refund with its history, or what became of a request."""
    from outbox.ops.refunds.show import show_refund

    show_refund(name, as_json=as_json)


@refunds.command("obligations")
def obligations(limit: Limit = 100, as_json: AsJson = False) -> None:
    """Show what buyers are owed again, the oldest first; exit code 1 when there is anything."""
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
    """Give money back: all that is left, an amount, or tickets. Exit code 3: waits for approval."""
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
    """Try again what came to nothing, as a new refund. Exit code 3: waits for approval."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.refunds.decide import retry_refund

    retry_refund(refund, CommandOptions(operator, reason, yes, as_json, wait))


@refunds.command("approve")
def approve(name: Name, operator: Operator = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Let a refund or a mass cancellation go on that somebody else asked for."""
    from outbox.ops.approvals import approve
    from outbox.ops.prompts import CommandOptions

    approve(name, CommandOptions(operator, None, yes, as_json), wait=False)


@refunds.command("withdraw")
def withdraw(name: Name, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Take a refund back that waits for approval."""
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
    """Cancel an event: everybody gets everything back, so many a second. Exit code 3: waits for approval."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.refunds.decide import cancel_event

    options = CommandOptions(operator, reason, yes, as_json, wait)
    cancel_event(event, tenant, rate, options, despite_balance=despite_balance, watch=watch)


@refunds.command("event-status")
def event_status(
    name: RunName = None, watch: Watch = False, limit: Limit = 20, wait: Patience = 120, as_json: AsJson = False
) -> None:
    """Show how far cancelled events are, and how their refunds stand."""
    from outbox.ops.refunds.show import list_runs, show_run

    if name is None:
        list_runs(limit=limit, as_json=as_json)
    else:
        show_run(name, watch=watch, patience_seconds=wait, as_json=as_json)


@refunds.command("pause")
def pause(run: RunId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Hold a mass cancellation where it stands. What was asked for already goes on."""
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
    """Let it go on where it stands: after a pause, or instead of waiting for Stripe's balance."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.refunds.decide import resume

    resume(run, rate, CommandOptions(operator, reason, as_json=as_json), despite_balance=despite_balance)


@refunds.command("stop")
def stop(
    run: RunId, operator: Operator = None, reason: Reason = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """End it where it stands, for good; orders of the event are charged again from now on."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.refunds.decide import steer

    steer("stop", run, CommandOptions(operator, reason, yes, as_json))


def add_to(app: typer.Typer) -> None:
    app.add_typer(refunds, name="refunds")
