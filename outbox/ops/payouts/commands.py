"""The commands for payouts of connected accounts and for statements: `fleet payouts`, `fleet statements`."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import AsJson, Limit, one_of

payouts = typer.Typer(no_args_is_help=True, help="Payouts and balances of connected accounts.")
statements = typer.Typer(no_args_is_help=True, help="Statements for recipients, from the ledger.")

Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="tenant id")]
OfRecipient = Annotated[UUID | None, typer.Option("--recipient", metavar="ID", help="recipient id or venue id")]
CameBack = Annotated[bool, typer.Option("--failed", help="only failed or returned payouts")]
PayoutName = Annotated[str, typer.Argument(metavar="ID", help="Stripe payout id, po_...")]
Recipient = Annotated[UUID, typer.Argument(metavar="RECIPIENT", help="recipient id or venue id")]
From = Annotated[datetime, typer.Option("--from", metavar="DAY", formats=["%Y-%m-%d"], help="first day, UTC")]
Until = Annotated[datetime, typer.Option("--until", metavar="DAY", formats=["%Y-%m-%d"], help="last day, UTC")]
Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="csv or pdf")]
Output = Annotated[Path, typer.Option("--output", metavar="FILE", help="file to write")]


@payouts.command("list")
def list_payouts(
    recipient: OfRecipient = None, failed: CameBack = False, limit: Limit = 50, as_json: AsJson = False
) -> None:
    """List payouts of connected accounts, newest first."""
    from outbox.ops.payouts.show import list_payouts

    list_payouts(recipient, failed=failed, limit=limit, as_json=as_json)


@payouts.command("show")
def show_payout(payout: PayoutName, as_json: AsJson = False) -> None:
    """Show one payout with its transfers, reversals and payments."""
    from outbox.ops.payouts.show import show_payout

    show_payout(payout, as_json=as_json)


@payouts.command("balances")
def balances(tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Show each recipient's balance in the ledger and at Stripe."""
    from outbox.ops.payouts.show import show_balances

    show_balances(tenant, as_json=as_json)


@statements.command("print")
def print_statement(recipient: Recipient, since: From, until: Until, output: Output, form: Format = "csv") -> None:
    """Write a recipient's statement for a period: opening balance, movements, closing balance."""
    from outbox.ops.payouts.print_statement import print_statement

    print_statement(recipient, since.date(), until.date(), form=one_of("--format", form, ("csv", "pdf")), output=output)


def add_to(app: typer.Typer) -> None:
    """Add the payout and statement commands to `fleet`."""
    app.add_typer(payouts, name="payouts")
    app.add_typer(statements, name="statements")
