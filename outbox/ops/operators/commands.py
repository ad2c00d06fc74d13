"""The commands about the operator log: `fleet ops`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

import typer

from outbox.ops.options import AsJson, Expected, Limit

ops = typer.Typer(no_args_is_help=True, help="What operators did.")


@ops.command("log")
def log(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show what operators did, the newest first."""
    from outbox.ops.operators.show import show_log

    show_log(limit=limit, as_json=as_json)


@ops.command("verify-log")
def verify_log(expect: Expected = None, as_json: AsJson = False) -> None:
    """Walk the chain of the operator log; exit code 1 names the first broken link."""
    from outbox.ops.operators.show import verify_log

    verify_log(expect, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    app.add_typer(ops, name="ops")
