"""The commands about dead letters: `fleet dlq`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.dead_letters.options import STATES, DeadLetterOptions, choosing
from outbox.ops.options import (
    AsJson,
    BatchId,
    Everything,
    LetterId,
    Limit,
    Operator,
    Patience,
    Rate,
    Reason,
    State,
    Yes,
    one_of,
)

dlq = typer.Typer(no_args_is_help=True, help="Dead letters: list, inspect, preview, replay, edit, discard.")

Batch = Annotated[UUID | None, typer.Option("--batch", metavar="BATCH", help="the id of a previewed batch")]
OneBatch = Annotated[UUID | None, typer.Argument(metavar="[BATCH]", help="show each dead letter of this batch")]
Queue = Annotated[str, typer.Option("--to", metavar="QUEUE", help="the queue to publish to")]
PayloadFile = Annotated[
    str, typer.Option("--payload", metavar="FILE", help="file with the complete new payload as JSON; - reads stdin")
]
PayloadOnly = Annotated[bool, typer.Option("--payload", help="print only the payload, for editing")]


@dlq.command("list")
@choosing
def list_letters(chosen: DeadLetterOptions, state: State = "open", limit: Limit = 50, as_json: AsJson = False) -> None:
    """List dead letters, newest first."""
    from outbox.ops.dead_letters.show import list_letters

    list_letters(chosen, one_of("--state", state, STATES), limit=limit, as_json=as_json)


@dlq.command("group")
@choosing
def group(chosen: DeadLetterOptions, state: State = "open", as_json: AsJson = False) -> None:
    """Group dead letters by failure cause and code location."""
    from outbox.ops.dead_letters.show import show_groups

    show_groups(chosen, one_of("--state", state, STATES), as_json=as_json)


@dlq.command("show")
def show(letter: LetterId, payload_only: PayloadOnly = False, as_json: AsJson = False) -> None:
    """Show one dead letter: payload, history, replays and possible next steps."""
    from outbox.ops.dead_letters.show import show_letter

    show_letter(letter, payload_only=payload_only, as_json=as_json)


@dlq.command("preview")
@choosing
def preview(
    chosen: DeadLetterOptions,
    everything: Everything = False,
    rate: Rate = 20,
    operator: Operator = None,
    reason: Reason = None,
    wait: Patience = 120,
    as_json: AsJson = False,
) -> None:
    """Predict the effect of a replay on money, as evaluated by a worker; replays nothing."""
    from outbox.ops.dead_letters.decide import ReplayOptions, preview
    from outbox.ops.prompts import CommandOptions

    options = CommandOptions(operator, reason, as_json=as_json, patience_seconds=wait)
    preview(ReplayOptions(chosen, everything, rate), options)


@dlq.command("replay")
@choosing
def replay(
    chosen: DeadLetterOptions,
    batch: Batch = None,
    everything: Everything = False,
    rate: Rate = 20,
    operator: Operator = None,
    reason: Reason = None,
    yes: Yes = False,
    wait: Patience = 120,
    as_json: AsJson = False,
) -> None:
    """Preview a replay, confirm, and replay; dead letters are re-evaluated first. Exits 3 if approval is required."""
    from outbox.ops.dead_letters.decide import ReplayOptions, replay
    from outbox.ops.prompts import CommandOptions

    replay(ReplayOptions(chosen, everything, rate), batch, CommandOptions(operator, reason, yes, as_json, wait))


@dlq.command("redirect")
@choosing
def redirect(
    chosen: DeadLetterOptions,
    to: Queue,
    everything: Everything = False,
    rate: Rate = 20,
    operator: Operator = None,
    reason: Reason = None,
    yes: Yes = False,
    wait: Patience = 120,
    as_json: AsJson = False,
) -> None:
    """Replay dead letters to a queue other than their own."""
    from outbox.ops.dead_letters.decide import ReplayOptions, replay
    from outbox.ops.prompts import CommandOptions

    replay(ReplayOptions(chosen, everything, rate, to), None, CommandOptions(operator, reason, yes, as_json, wait))


@dlq.command("approve")
def approve(batch: BatchId, operator: Operator = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Approve a batch that another operator started and that requires a second person."""
    from outbox.ops.dead_letters.decide import approve
    from outbox.ops.prompts import CommandOptions

    approve(batch, CommandOptions(operator, None, yes, as_json))


@dlq.command("cancel")
def cancel(batch: BatchId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Cancel a batch: replayed dead letters continue, the others stay open."""
    from outbox.ops.dead_letters.decide import cancel
    from outbox.ops.prompts import CommandOptions

    cancel(batch, CommandOptions(operator, reason, as_json=as_json))


@dlq.command("batches")
def batches(batch: OneBatch = None, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List batches with their progress, or each dead letter of one batch."""
    from outbox.ops.dead_letters.show import list_batches

    list_batches(batch, limit=limit, as_json=as_json)


@dlq.command("discard")
@choosing
def discard(
    chosen: DeadLetterOptions,
    everything: Everything = False,
    operator: Operator = None,
    reason: Reason = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Discard open dead letters: their work is never done."""
    from outbox.ops.dead_letters.decide import discard
    from outbox.ops.prompts import CommandOptions

    discard(chosen, CommandOptions(operator, reason, yes, as_json), everything=everything)


@dlq.command("edit")
def edit(
    letter: LetterId, payload: PayloadFile, operator: Operator = None, reason: Reason = None, as_json: AsJson = False
) -> None:
    """Replace a dead letter by a linked successor with a new payload, and close it."""
    from outbox.ops.dead_letters.decide import edit
    from outbox.ops.prompts import CommandOptions

    edit(letter, payload, CommandOptions(operator, reason, as_json=as_json))


def add_to(app: typer.Typer) -> None:
    app.add_typer(dlq, name="dlq")
