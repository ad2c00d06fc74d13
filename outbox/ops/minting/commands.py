"""The commands about tokens: `fleet mint`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import AsJson, Limit, Operator, Reason, one_of

mint = typer.Typer(no_args_is_help=True, help="Tokens of paid tickets: where each is, and why it waits.")

State = Annotated[
    str,
    typer.Option(
        "--state", metavar="STATE", help="moving, queued, submitted, mined, confirmed, failed, voided, ... or all"
    ),
]
Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="of one tenant")]
Payment = Annotated[UUID | None, typer.Option("--payment", metavar="ID", help="of one payment")]
TicketId = Annotated[UUID, typer.Argument(metavar="TICKET", help="the ticket's id")]


@mint.command("list")
def list_mints(
    state: State = "all", tenant: Tenant = None, payment: Payment = None, limit: Limit = 50, as_json: AsJson = False
) -> None:
    """List mints, those that moved last first, and say what holds all of them up."""
    from outbox.ops.minting.show import STATES, list_mints

    list_mints(one_of("--state", state, STATES), tenant, payment, limit=limit, as_json=as_json)


@mint.command("show")
def show_mint(ticket: TicketId, as_json: AsJson = False) -> None:
    """Show one ticket: its token, its wallet, its transactions, and every move."""
    from outbox.ops.minting.show import show_mint

    show_mint(ticket, as_json=as_json)


@mint.command("retry")
def retry_mint(ticket: TicketId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Have a failed mint tried again, once what made it fail is put right."""
    from outbox.ops.minting.show import retry_mint

    retry_mint(ticket, operator, reason, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    app.add_typer(mint, name="mint")
