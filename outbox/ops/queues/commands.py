"""The commands about the outbox and the queues: `fleet outbox`, `fleet queues`, `fleet keys`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

import typer

from outbox.ops.options import AsJson, Limit

outbox = typer.Typer(no_args_is_help=True, help="Inspect the outbox.")


@outbox.command("status")
def outbox_status(limit: Limit = 10, as_json: AsJson = False) -> None:
    """Show due, scheduled and rejected outbox rows, and the next retries."""
    from outbox.ops.queues.show import show_outbox

    show_outbox(limit=limit, as_json=as_json)


def queues(as_json: AsJson = False) -> None:
    """Show depth, consumers, retry policy and configuration of each queue; exits 1 if one is missing or differs."""
    from outbox.ops.queues.show import show_queues

    show_queues(as_json=as_json)


def keys(as_json: AsJson = False) -> None:
    """Generate a key pair to encrypt the originals of dead letters."""
    from outbox.ops.queues.show import show_keys

    show_keys(as_json=as_json)


def add_to(app: typer.Typer) -> None:
    app.add_typer(outbox, name="outbox")
    app.command()(queues)
    app.command()(keys)
