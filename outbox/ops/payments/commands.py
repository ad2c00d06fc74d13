"""The commands about one payment: `fleet payment`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated

import typer

from outbox.ops.options import AsJson

payment = typer.Typer(no_args_is_help=True, help="One payment, from intake to ledger.")

PaymentName = Annotated[str, typer.Argument(metavar="ID", help="payment, order, payment intent or charge id")]


@payment.command("shares")
def payment_shares(name: PaymentName, as_json: AsJson = False) -> None:
    """Show who gets what of a payment, how it moved, and what of it is each ticket's."""
    from outbox.ops.shares.show import show_tree

    show_tree(name, as_json=as_json)


@payment.command("show")
def show_payment(name: PaymentName, as_json: AsJson = False) -> None:
    """Show the whole timeline of a payment, in order."""
    from outbox.ops.payments.timeline import show_payment

    show_payment(name, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    app.add_typer(payment, name="payment")
