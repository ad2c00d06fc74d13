"""The commands about one payment: `fleet payment`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated

import typer

from outbox.ops.options import AsJson

payment = typer.Typer(no_args_is_help=True, help="Inspect one payment, from intake to ledger.")

PaymentName = Annotated[str, typer.Argument(metavar="ID", help="payment id, order id, payment intent id or charge id")]


@payment.command("shares")
def payment_shares(name: PaymentName, as_json: AsJson = False) -> None:
    """Show the shares of a payment by recipient and ticket, with their transfers."""
    from outbox.ops.shares.show import show_tree

    show_tree(name, as_json=as_json)


@payment.command("show")
def show_payment(name: PaymentName, as_json: AsJson = False) -> None:
    """Show the full timeline of a payment."""
    from outbox.ops.payments.timeline import show_payment

    show_payment(name, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    app.add_typer(payment, name="payment")
