"""The operators' part of the `fleet` command: dead letters, payments, outbox, queues and the operator log.

Only the commands' options and help texts; each imports its package when it runs. Exit codes: outbox/ops/session.py.
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

dlq = typer.Typer(no_args_is_help=True, help="Dead letters: list, inspect, preview, replay, edit, discard.")
payment = typer.Typer(no_args_is_help=True, help="Inspect one payment, from intake to ledger.")
outbox = typer.Typer(no_args_is_help=True, help="Inspect the outbox.")
ops = typer.Typer(no_args_is_help=True, help="Operator audit log.")

Batch = Annotated[UUID | None, typer.Option("--batch", metavar="BATCH", help="the id of a previewed batch")]
OneBatch = Annotated[UUID | None, typer.Argument(metavar="[BATCH]", help="show each dead letter of this batch")]
Queue = Annotated[str, typer.Option("--to", metavar="QUEUE", help="the queue to publish to")]
PayloadFile = Annotated[
    str, typer.Option("--payload", metavar="FILE", help="file with the complete new payload as JSON; - reads stdin")
]
PayloadOnly = Annotated[bool, typer.Option("--payload", help="print only the payload, for editing")]
PaymentName = Annotated[str, typer.Argument(metavar="ID", help="payment id, order id, payment intent id or charge id")]


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
    """Preview a replay, confirm, and replay; dead letters are re-evaluated first. Exits 3 if approval is required."""
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
    """Replay dead letters to a queue other than their own."""
    from outbox.ops.dead_letters.decide import CommandOptions, ReplayOptions, replay

    replay(ReplayOptions(chosen, everything, rate, to), None, CommandOptions(operator, reason, yes, as_json, wait))


@dlq.command("approve")
def approve(batch: BatchId, operator: Operator = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Approve a batch that another operator started and that requires a second person."""
    from outbox.ops.dead_letters.decide import CommandOptions, approve

    approve(batch, CommandOptions(operator, None, yes, as_json))


@dlq.command("cancel")
def cancel(batch: BatchId, operator: Operator = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Cancel a batch: replayed dead letters continue, the others stay open."""
    from outbox.ops.dead_letters.decide import CommandOptions, cancel

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
    from outbox.ops.dead_letters.decide import CommandOptions, discard

    discard(chosen, CommandOptions(operator, reason, yes, as_json), everything=everything)


@dlq.command("edit")
def edit(
    letter: LetterId, payload: PayloadFile, operator: Operator = None, reason: Reason = None, as_json: AsJson = False
) -> None:
    """Replace a dead letter by a linked successor with a new payload, and close it."""
    from outbox.ops.dead_letters.decide import CommandOptions, edit

    edit(letter, payload, CommandOptions(operator, reason, as_json=as_json))


@payment.command("shares")
def payment_shares(name: PaymentName, as_json: AsJson = False) -> None:
    """Show the shares of a payment by recipient and ticket, with their transfers."""
    from outbox.ops.shares.show import show_tree

    show_tree(name, as_json=as_json)


@payment.command("show")
def show_payment(name: PaymentName, as_json: AsJson = False) -> None:
    """Show the full timeline of a payment."""
    from outbox.ops.payments.timeline import show_payment

    show_payment(name, as_json=as_json)


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


@ops.command("log")
def log(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show operator actions, newest first."""
    from outbox.ops.dead_letters.show import show_log

    show_log(limit=limit, as_json=as_json)


@ops.command("verify-log")
def verify_log(expect: Expected = None, as_json: AsJson = False) -> None:
    """Verify the hash chain of the operator log; exits 1 and names the first broken entry."""
    from outbox.ops.dead_letters.show import verify_log

    verify_log(expect, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """Add the operators' commands to `fleet`."""
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
