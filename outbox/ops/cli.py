"""The operators' part of the `fleet` command: dead letters, payments, outbox, queues and the operator log.

Only the words of the commands stand here; each imports its room when it is used. Exit codes: outbox/ops/session.py.
"""

# ruff: noqa: PLC0415  imports inside the functions keep the start of `fleet` fast

from typing import Annotated
from uuid import UUID

import typer

from outbox.ops.disputes import commands as dispute_commands
from outbox.ops.groups import commands as group_commands
from outbox.ops.minting import commands as mint_commands
from outbox.ops.options import (
    STATES,
    AsJson,
    BatchId,
    DeadLetterOptions,
    Everything,
    Expected,
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
from outbox.ops.pauses.commands import pause
from outbox.ops.payouts import commands as payout_commands
from outbox.ops.reconciliation import commands as reconciliation_commands
from outbox.ops.refunds import commands as refund_commands
from outbox.ops.shares import commands as share_commands

dlq = typer.Typer(no_args_is_help=True, help="Dead letters: find, understand, preview, replay, edit, discard.")
payment = typer.Typer(no_args_is_help=True, help="One payment, from intake to ledger.")
outbox = typer.Typer(no_args_is_help=True, help="What waits to be published.")
ops = typer.Typer(no_args_is_help=True, help="What operators did.")

Batch = Annotated[UUID | None, typer.Option("--batch", metavar="BATCH", help="a batch that was previewed")]
OneBatch = Annotated[UUID | None, typer.Argument(metavar="[BATCH]", help="only this one, letter by letter")]
Queue = Annotated[str, typer.Option("--to", metavar="QUEUE", help="the queue to publish to instead")]
PayloadFile = Annotated[str, typer.Option("--payload", metavar="FILE", help="the whole new payload, JSON; - reads it")]
PayloadOnly = Annotated[bool, typer.Option("--payload", help="print the payload alone, to be edited")]
PaymentName = Annotated[str, typer.Argument(metavar="ID", help="payment, order, payment intent or charge id")]


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
    from outbox.ops.dead_letters.decide import CommandOptions, ReplayOptions, preview

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
    from outbox.ops.dead_letters.decide import CommandOptions, ReplayOptions, replay

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
    from outbox.ops.dead_letters.decide import CommandOptions, ReplayOptions, replay

    replay(ReplayOptions(chosen, everything, rate, to), None, CommandOptions(operator, reason, yes, as_json, wait))


@dlq.command("approve")
def approve(batch: BatchId, operator: Operator = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Let a batch run that somebody else started and that moves more than one person may decide."""
    from outbox.ops.dead_letters.decide import CommandOptions, approve

    approve(batch, CommandOptions(operator, None, yes, as_json))


@dlq.command("cancel")
def cancel(batch: BatchId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Stop a batch; what was appended already runs on, the other letters stay open."""
    from outbox.ops.dead_letters.decide import CommandOptions, cancel

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
    from outbox.ops.dead_letters.decide import CommandOptions, discard

    discard(chosen, CommandOptions(operator, reason, yes, as_json), everything=everything)


@dlq.command("edit")
def edit(
    letter: LetterId, payload: PayloadFile, operator: Operator = None, reason: Reason = None, as_json: AsJson = False
) -> None:
    """Make a successor with another payload, linked to the letter, which is closed."""
    from outbox.ops.dead_letters.decide import CommandOptions, edit

    edit(letter, payload, CommandOptions(operator, reason, as_json=as_json))


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


@outbox.command("status")
def outbox_status(limit: Limit = 10, as_json: AsJson = False) -> None:
    """Show what is due, what waits, what the broker refused, and the retries that come next."""
    from outbox.ops.queues.show import show_outbox

    show_outbox(limit=limit, as_json=as_json)


def queues(as_json: AsJson = False) -> None:
    """Show every queue: depth, consumers, patience, and drift; exit code 1 when one is missing or differs."""
    from outbox.ops.queues.show import show_queues

    show_queues(as_json=as_json)


def keys(as_json: AsJson = False) -> None:
    """Print a fresh pair of keys for the originals of dead letters."""
    from outbox.ops.queues.show import show_keys

    show_keys(as_json=as_json)


@ops.command("log")
def log(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show what operators did, the newest first."""
    from outbox.ops.dead_letters.show import show_log

    show_log(limit=limit, as_json=as_json)


@ops.command("verify-log")
def verify_log(expect: Expected = None, as_json: AsJson = False) -> None:
    """Walk the chain of the operator log; exit code 1 names the first broken link."""
    from outbox.ops.dead_letters.show import verify_log

    verify_log(expect, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """Hang everything of this room into the `fleet` command."""
    app.add_typer(dlq, name="dlq")
    app.add_typer(payment, name="payment")
    app.add_typer(outbox, name="outbox")
    app.add_typer(ops, name="ops")
    app.add_typer(pause, name="pause")
    app.add_typer(refund_commands.refunds, name="refunds")
    app.add_typer(mint_commands.mint, name="mint")
    app.add_typer(group_commands.groups, name="groups")
    reconciliation_commands.add_to(app)
    payout_commands.add_to(app)
    dispute_commands.add_to(app)
    share_commands.add_to(app)
    app.command()(queues)
    app.command()(keys)
