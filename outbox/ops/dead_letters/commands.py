"""The commands about dead letters: `fleet dlq`; see outbox/ops/cli.py."""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.options import (
    STATES,
    AsJson,
    BatchId,
    DeadLetterOptions,
    Everything,
    LetterId,
    Limit,
    Operator,
    Patience,
    Rate,
    Reason,
    State,
    Yes,
    choosing,
    one_of,
)

dlq = typer.Typer(no_args_is_help=True, help="Dead letters: find, understand, preview, replay, edit, discard.")

Batch = Annotated[UUID | None, typer.Option("--batch", metavar="BATCH", help="a batch that was previewed")]
OneBatch = Annotated[UUID | None, typer.Argument(metavar="[BATCH]", help="only this one, letter by letter")]
Queue = Annotated[str, typer.Option("--to", metavar="QUEUE", help="the queue to publish to instead")]
PayloadFile = Annotated[str, typer.Option("--payload", metavar="FILE", help="the whole new payload, JSON; - reads it")]
PayloadOnly = Annotated[bool, typer.Option("--payload", help="print the payload alone, to be edited")]


@dlq.command("list")
@choosing
def list_letters(chosen: DeadLetterOptions, state: State = "open", limit: Limit = 50, as_json: AsJson = False) -> None:
    """List dead letters, the newest first."""
    from outbox.ops.dead_letters.show import list_letters

    list_letters(chosen, one_of("--state", state, STATES), limit=limit, as_json=as_json)


@dlq.command("group")
@choosing
def group(chosen: DeadLetterOptions, state: State = "open", as_json: AsJson = False) -> None:
    """Group letters that died of the same thing at the same place."""
    from outbox.ops.dead_letters.show import show_groups

    show_groups(chosen, one_of("--state", state, STATES), as_json=as_json)


@dlq.command("show")
def show(letter: LetterId, payload_only: PayloadOnly = False, as_json: AsJson = False) -> None:
    """Show one letter: payload, history, replays, and what can be done next."""
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
    """Have a worker judge what a replay would mean for money; replays nothing."""
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
    """Preview, ask, and bring letters back; each is judged again before it runs. Exit code 3: waits for approval."""
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
    """Replay to another queue than the message's own."""
    from outbox.ops.dead_letters.decide import ReplayOptions, replay
    from outbox.ops.prompts import CommandOptions

    replay(ReplayOptions(chosen, everything, rate, to), None, CommandOptions(operator, reason, yes, as_json, wait))


@dlq.command("approve")
def approve(batch: BatchId, operator: Operator = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Let a batch run that somebody else started and that moves more than one person may decide."""
    from outbox.ops.dead_letters.decide import approve
    from outbox.ops.prompts import CommandOptions

    approve(batch, CommandOptions(operator, None, yes, as_json))


@dlq.command("cancel")
def cancel(batch: BatchId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Stop a batch; what was appended already runs on, the other letters stay open."""
    from outbox.ops.dead_letters.decide import cancel
    from outbox.ops.prompts import CommandOptions

    cancel(batch, CommandOptions(operator, reason, as_json=as_json))


@dlq.command("batches")
def batches(batch: OneBatch = None, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List batches and how far they are, or one batch letter by letter."""
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
    """Close open letters undone. What they asked for is never done."""
    from outbox.ops.dead_letters.decide import discard
    from outbox.ops.prompts import CommandOptions

    discard(chosen, CommandOptions(operator, reason, yes, as_json), everything=everything)


@dlq.command("edit")
def edit(
    letter: LetterId, payload: PayloadFile, operator: Operator = None, reason: Reason = None, as_json: AsJson = False
) -> None:
    """Make a successor with another payload, linked to the letter, which is closed."""
    from outbox.ops.dead_letters.decide import edit
    from outbox.ops.prompts import CommandOptions

    edit(letter, payload, CommandOptions(operator, reason, as_json=as_json))


def add_to(app: typer.Typer) -> None:
    app.add_typer(dlq, name="dlq")
