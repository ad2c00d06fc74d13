"""The commands about disputes: `fleet dispute`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated

import typer

from outbox.ops.options import AsJson, Limit, Operator, Reason, Yes, one_of

dispute = typer.Typer(no_args_is_help=True, help="Disputes: inspect, prepare and submit evidence, accept.")

DisputeName = Annotated[str, typer.Argument(metavar="ID", help="Stripe dispute id, dp_...")]
Selection = Annotated[str, typer.Option("--state", metavar="STATE", help="waiting, open, closed or all")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=TEXT", help="set a field; an empty text removes it")
]
FromFile = Annotated[
    list[str] | None, typer.Option("--file", metavar="FIELD=FILE", help="set a field from a text file; - reads stdin")
]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="rebuild the evidence from current data")]


@dispute.command("list")
def list_disputes(state: Selection = "open", limit: Limit = 50, as_json: AsJson = False) -> None:
    """List disputes, nearest deadline first."""
    from db.disputes.views import SELECTIONS
    from outbox.ops.disputes.show import list_disputes

    list_disputes(one_of("--state", state, tuple(SELECTIONS)), limit=limit, as_json=as_json)


@dispute.command("show")
def show(dispute: DisputeName, as_json: AsJson = False) -> None:
    """Show one dispute: deadline, amounts, history and possible next steps."""
    from outbox.ops.disputes.show import show_dispute

    show_dispute(dispute, as_json=as_json)


@dispute.command("evidence")
def evidence(
    dispute: DisputeName,
    texts: Set = None,
    files: FromFile = None,
    rebuild: Rebuild = False,
    operator: Operator = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Show the evidence and its missing fields; change it with --set, --file or --rebuild."""
    from outbox.ops.disputes.show import EvidenceChanges, show_evidence

    show_evidence(
        dispute, EvidenceChanges(tuple(texts or ()), tuple(files or ()), rebuild), operator, reason, as_json=as_json
    )


@dispute.command("submit")
def submit(
    dispute: DisputeName, operator: Operator = None, reason: Reason = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Submit the evidence. It can be submitted only once."""
    from outbox.ops.disputes.show import submit
    from outbox.ops.prompts import CommandOptions

    submit(dispute, CommandOptions(operator, reason, yes, as_json))


@dispute.command("accept")
def accept(
    dispute: DisputeName, operator: Operator = None, reason: Reason = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Accept the dispute as lost. This cannot be undone."""
    from outbox.ops.disputes.show import accept
    from outbox.ops.prompts import CommandOptions

    accept(dispute, CommandOptions(operator, reason, yes, as_json))


@dispute.command("warnings")
def warnings(limit: Limit = 50, as_json: AsJson = False) -> None:
    """List early fraud warnings and the decision for each, newest first."""
    from outbox.ops.disputes.show import list_warnings

    list_warnings(limit=limit, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """Add the dispute commands to `fleet`."""
    app.add_typer(dispute, name="dispute")
