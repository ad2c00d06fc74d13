"""The commands to pause a tenant or venue: `fleet pause`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import AsJson, Limit, Operator, Reason, one_of, seconds_of

pause = typer.Typer(no_args_is_help=True, help="Pause charges, or all payment operations, of a tenant or a venue.")

Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="tenant id")]
Venue = Annotated[UUID | None, typer.Option("--venue", metavar="ID", help="venue id")]
Everybody = Annotated[bool, typer.Option("--all-tenants", help="pause every tenant, each with a separate pause")]
Alike = Annotated[bool, typer.Option("--alike", help="also lift all other active pauses with the same reason")]
What = Annotated[
    str, typer.Option("--what", metavar="WHAT", help="charges; or all, which includes refunds, captures and transfers")
]
For = Annotated[
    str | None, typer.Option("--for", metavar="TIME", help="duration: 90s, 30m, 2h, 7d (default: until lifted)")
]
PauseId = Annotated[UUID, typer.Argument(metavar="PAUSE", help="the pause's id")]
Ended = Annotated[bool, typer.Option("--all", help="include ended pauses")]


@pause.command("add")
def add(
    tenant: Tenant = None,
    venue: Venue = None,
    all_tenants: Everybody = False,
    what: What = "charges",
    lasting: For = None,
    operator: Operator = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Add a pause, effective immediately. Operations in progress at Stripe are completed."""
    from outbox.ops.pauses.show import add_pause, pause_everybody
    from outbox.ops.prompts import CommandOptions
    from outbox.requests.operators.pauses import WHAT

    if [tenant is not None, venue is not None, all_tenants].count(True) != 1:
        raise typer.BadParameter("give --tenant, --venue or --all-tenants")
    seconds = None if lasting is None else seconds_of(lasting, "--for")
    one_of("--what", what, WHAT)
    if all_tenants:
        pause_everybody(what, seconds, CommandOptions(operator, reason, as_json=as_json))
    else:
        add_pause(tenant, venue, what, seconds, CommandOptions(operator, reason, as_json=as_json))


@pause.command("list")
def list_pauses(everything: Ended = False, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List pauses, with operator and reason."""
    from outbox.ops.pauses.show import list_pauses

    list_pauses(everything=everything, limit=limit, as_json=as_json)


@pause.command("lift")
def lift(
    pause_id: PauseId, alike: Alike = False, operator: Operator = None, reason: Reason = None, as_json: AsJson = False
) -> None:
    """Lift a pause immediately."""
    from outbox.ops.pauses.show import lift_pause
    from outbox.ops.prompts import CommandOptions

    lift_pause(pause_id, CommandOptions(operator, reason, as_json=as_json), alike=alike)


def add_to(app: typer.Typer) -> None:
    app.add_typer(pause, name="pause")
