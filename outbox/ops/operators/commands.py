"""The commands about the operator log: `fleet ops`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

import typer

from outbox.ops.options import AsJson, Expected, Limit

ops = typer.Typer(no_args_is_help=True, help="Operator audit log.")


@ops.command("log")
def log(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show operator actions, newest first."""
    from outbox.ops.operators.show import show_log

    show_log(limit=limit, as_json=as_json)


@ops.command("verify-log")
def verify_log(expect: Expected = None, as_json: AsJson = False) -> None:
    """Verify the hash chain of the operator log; exits 1 and names the first broken entry."""
    from outbox.ops.operators.show import verify_log

    verify_log(expect, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    app.add_typer(ops, name="ops")
