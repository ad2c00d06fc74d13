"""The commands for shares: `fleet escrow`, `fleet recipients`, `fleet royalties`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import AsJson, Limit, Operator, Patience, Reason, Yes, one_of

escrow = typer.Typer(no_args_is_help=True, help="Shares in escrow: inspect, release, hold.")
recipients = typer.Typer(no_args_is_help=True, help="Recipients of shares: balances and unpaid shares.")
royalties = typer.Typer(no_args_is_help=True, help="Royalty rules.")

KEPT_BY = ("event", "unknown_end", "dispute", "refund", "cancellation", "cancelled_event", "group", "person", "all")
PaymentId = Annotated[UUID, typer.Argument(metavar="PAYMENT", help="the payment's id")]
RequestId = Annotated[UUID, typer.Argument(metavar="REQUEST", help="the request's id")]
RecipientId = Annotated[UUID, typer.Argument(metavar="RECIPIENT", help="recipient id or venue id")]
KeptBy = Annotated[str, typer.Option("--kept-by", metavar="REASON", help=f"reason for escrow: {', '.join(KEPT_BY)}")]
Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="tenant id")]
Venue = Annotated[UUID | None, typer.Option("--venue", metavar="ID", help="venue id")]


@escrow.command("list")
def list_held(kept_by: KeptBy = "all", limit: Limit = 50, as_json: AsJson = False) -> None:
    """List payments in escrow, oldest first, and pending requests."""
    from outbox.ops.shares.show import list_held

    list_held(one_of("--kept-by", kept_by, KEPT_BY), limit=limit, as_json=as_json)


@escrow.command("show")
def show_held(payment: PaymentId, as_json: AsJson = False) -> None:
    """Show a payment's escrow and its shares by ticket."""
    from outbox.ops.shares.show import show_tree

    show_tree(str(payment), as_json=as_json)


@escrow.command("release")
def release(
    payment: PaymentId,
    operator: Operator = None,
    reason: Reason = None,
    yes: Yes = False,
    wait: Patience = 60,
    as_json: AsJson = False,
) -> None:
    """Release a payment's shares from escrow before its conditions are met. Exits 3 if approval is required."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.shares.decide import ask

    ask("release", payment, CommandOptions(operator, reason, yes, as_json, wait))


@escrow.command("hold")
def hold(
    payment: PaymentId,
    operator: Operator = None,
    reason: Reason = None,
    yes: Yes = False,
    wait: Patience = 60,
    as_json: AsJson = False,
) -> None:
    """Hold a payment's shares in escrow until an operator releases them."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.shares.decide import ask

    ask("hold", payment, CommandOptions(operator, reason, yes, as_json, wait))


@escrow.command("approve")
def approve(
    request_id: RequestId, operator: Operator = None, yes: Yes = False, wait: Patience = 60, as_json: AsJson = False
) -> None:
    """Approve a release that another operator requested and that requires a second person."""
    from outbox.ops.approvals import approve
    from outbox.ops.prompts import CommandOptions

    approve(request_id, CommandOptions(operator, None, yes, as_json, wait), wait=True)


@escrow.command("withdraw")
def withdraw(request_id: RequestId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Withdraw a release request that awaits approval."""
    from outbox.ops.approvals import withdraw
    from outbox.ops.prompts import CommandOptions

    withdraw(request_id, CommandOptions(operator, reason, as_json=as_json))


@recipients.command("list")
def list_recipients(tenant: Tenant = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """List recipients with their ledger balances: in escrow, pending, available, receivable."""
    from outbox.ops.shares.show import list_recipients

    list_recipients(tenant, limit=limit, as_json=as_json)


@recipients.command("show")
def show_recipient(recipient: RecipientId, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show one recipient: balances, unpaid shares and what each waits for."""
    from outbox.ops.shares.show import show_recipient

    show_recipient(recipient, limit=limit, as_json=as_json)


@royalties.command("show")
def show_royalties(venue: Venue = None, limit: Limit = 200, as_json: AsJson = False) -> None:
    """Show royalty rules: recipient, percentage, sales and period."""
    from outbox.ops.shares.show import show_royalties

    show_royalties(venue, limit=limit, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    app.add_typer(escrow, name="escrow")
    app.add_typer(recipients, name="recipients")
    app.add_typer(royalties, name="royalties")
