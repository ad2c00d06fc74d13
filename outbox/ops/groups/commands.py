"""The commands for group payments: `fleet groups`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import AsJson, Limit, Operator, Reason, Yes, one_of

groups = typer.Typer(no_args_is_help=True, help="Group payments: orders that several buyers pay in shares.")

STATES = ("open", "complete", "settled", "expired", "canceled", "voided", "all")
State = Annotated[str, typer.Option("--state", metavar="STATE", help="open, complete, settled, expired, ... or all")]
GroupId = Annotated[UUID, typer.Argument(metavar="ID", help="the group's id")]


@groups.command("list")
def list_groups(state: State = "all", limit: Limit = 50, as_json: AsJson = False) -> None:
    """List groups, most recently changed first."""
    from outbox.ops.groups.show import list_groups

    state = one_of("--state", state.replace("cancelled", "canceled"), STATES)  # the spelling of before is understood
    list_groups(None if state == "all" else state, limit=limit, as_json=as_json)


@groups.command("show")
def show(group: GroupId, as_json: AsJson = False) -> None:
    """Show one group: members, payment attempts and history."""
    from outbox.ops.groups.show import show_group

    show_group(group, as_json=as_json)


@groups.command("cancel")
def cancel(
    group: GroupId, operator: Operator = None, reason: Reason = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Cancel a group that is not settled: release authorizations and refund captures."""
    from outbox.ops.groups.show import cancel_group
    from outbox.ops.prompts import CommandOptions

    cancel_group(group, CommandOptions(operator, reason, yes, as_json))


def add_to(app: typer.Typer) -> None:
    app.add_typer(groups, name="groups")
