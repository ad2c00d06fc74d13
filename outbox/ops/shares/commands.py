"""The commands about everyone's share: `fleet escrow`, `fleet recipients`, `fleet royalties`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import AsJson, Limit, Operator, Patience, Reason, Yes, one_of

escrow = typer.Typer(no_args_is_help=True, help="Shares in escrow: what is held and why, releasing and holding.")
recipients = typer.Typer(no_args_is_help=True, help="Recipients of shares: balances, and what waits.")
royalties = typer.Typer(no_args_is_help=True, help="Who gets royalties of which sales.")

KEPT_BY = ("event", "unknown_end", "dispute", "refund", "cancellation", "cancelled_event", "group", "person", "all")
PaymentId = Annotated[UUID, typer.Argument(metavar="PAYMENT", help="the payment's id")]
WishId = Annotated[UUID, typer.Argument(metavar="WISH", help="the wish's id")]
RecipientId = Annotated[UUID, typer.Argument(metavar="RECIPIENT", help="the recipient's id; a venue's is its own")]
KeptBy = Annotated[str, typer.Option("--kept-by", metavar="REASON", help=f"{', '.join(KEPT_BY)}")]
Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="of one tenant")]
Venue = Annotated[UUID | None, typer.Option("--venue", metavar="ID", help="of one venue")]


@escrow.command("list")
def list_held(kept_by: KeptBy = "all", limit: Limit = 50, as_json: AsJson = False) -> None:
    """List payments in escrow, the oldest first, and wishes that wait."""
    from outbox.ops.shares.show import list_held

    list_held(one_of("--kept-by", kept_by, KEPT_BY), limit=limit, as_json=as_json)


@escrow.command("show")
def show_held(payment: PaymentId, as_json: AsJson = False) -> None:
    """Show a payment's escrow, its shares and what each ticket's part is."""
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
    """Let the shares of a payment go, whatever escrow waits for. Exit code 3: waits for approval."""
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
    """Keep the shares of a payment in escrow until a person releases them."""
    from outbox.ops.prompts import CommandOptions
    from outbox.ops.shares.decide import ask

    ask("hold", payment, CommandOptions(operator, reason, yes, as_json, wait))


@escrow.command("approve")
def approve(
    wish: WishId, operator: Operator = None, yes: Yes = False, wait: Patience = 60, as_json: AsJson = False
) -> None:
    """Let a release go on that somebody else asked for and that moves more than one person may decide."""
    from outbox.ops.approvals import approve
    from outbox.ops.prompts import CommandOptions

    approve(wish, CommandOptions(operator, None, yes, as_json, wait), wait=True)


@escrow.command("withdraw")
def withdraw(wish: WishId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Take a release back that waits for approval."""
    from outbox.ops.approvals import withdraw
    from outbox.ops.prompts import CommandOptions

    withdraw(wish, CommandOptions(operator, reason, as_json=as_json))


@recipients.command("list")
def list_recipients(tenant: Tenant = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """List recipients and their balances by the ledger: in escrow, pending, available, receivable."""
    from outbox.ops.shares.show import list_recipients

    list_recipients(tenant, limit=limit, as_json=as_json)


@recipients.command("show")
def show_recipient(recipient: RecipientId, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show one recipient, its balances, and which of its shares wait for what."""
    from outbox.ops.shares.show import show_recipient

    show_recipient(recipient, limit=limit, as_json=as_json)


@royalties.command("show")
def show_royalties(venue: Venue = None, limit: Limit = 200, as_json: AsJson = False) -> None:
    """Show who gets how much of which sales, and when."""
    from outbox.ops.shares.show import show_royalties

    show_royalties(venue, limit=limit, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    app.add_typer(escrow, name="escrow")
    app.add_typer(recipients, name="recipients")
    app.add_typer(royalties, name="royalties")
