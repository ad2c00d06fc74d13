"""The `fleet` command. One function a subcommand, which imports its own room only when it is used: `fleet up` needs no
worker, and a broken room breaks its own subcommand alone.
"""

# ruff: noqa: PLC0415  imports inside the functions are the point of this file

from typing import Annotated

import typer

# Plain tracebacks: the pretty ones print local variables, and addresses carry passwords.
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Scale = Annotated[list[str] | None, typer.Option(metavar="NAME=COUNT", help="run COUNT processes of a Procfile line")]
Detach = Annotated[bool, typer.Option("--detach", help="return when it is ready and leave it running")]


@app.command()
def up(scale: Scale = None, detach: Detach = False) -> None:
    """Start the servers and every process of the Procfile, and keep them running."""
    from deploy.local.up import up

    raise typer.Exit(up(dict(map(_name_and_count, scale or [])), detach))


@app.command()
def down() -> None:
    """Stop what `fleet up` started, and what a killed one has left."""
    from deploy.local.up import down

    raise typer.Exit(down())


@app.command()
def migrate() -> None:
    """Bring the database to the schema of this version."""
    from db.migrate import main

    main()


def _name_and_count(text: str) -> tuple[str, int]:
    name, separator, count = text.partition("=")
    if not (separator and count.isdigit() and int(count) > 0):
        raise typer.BadParameter(f"{text!r} is not NAME=COUNT, as in --scale workers=2")
    return name, int(count)


def main() -> None:
    app()


@app.callback()
def fleet() -> None:
    """The payment fleet on one machine."""


if __name__ == "__main__":
    main()
