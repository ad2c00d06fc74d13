"""The commands for minting: `fleet mint`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import AsJson, Limit, Operator, Reason, one_of

mint = typer.Typer(no_args_is_help=True, help="Mints of paid tickets: inspect and retry.")

State = Annotated[
    str,
    typer.Option(
        "--state", metavar="STATE", help="moving, queued, submitted, mined, confirmed, failed, voided, ... or all"
    ),
]
Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="tenant id")]
Payment = Annotated[UUID | None, typer.Option("--payment", metavar="ID", help="payment id")]
TicketId = Annotated[UUID, typer.Argument(metavar="TICKET", help="the ticket's id")]


@mint.command("list")
def list_mints(
    state: State = "all", tenant: Tenant = None, payment: Payment = None, limit: Limit = 50, as_json: AsJson = False
) -> None:
    """List mints, most recently changed first, and show what blocks minting."""
    from outbox.ops.minting.show import STATES, list_mints

    list_mints(one_of("--state", state, STATES), tenant, payment, limit=limit, as_json=as_json)


@mint.command("show")
def show_mint(ticket: TicketId, as_json: AsJson = False) -> None:
    """Show the mint of one ticket: token, wallet, transactions and state history."""
    from outbox.ops.minting.show import show_mint

    show_mint(ticket, as_json=as_json)


@mint.command("retry")
def retry_mint(ticket: TicketId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Retry a failed mint, after its cause is fixed."""
    from outbox.ops.minting.show import retry_mint

    retry_mint(ticket, operator, reason, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    app.add_typer(mint, name="mint")
