"""What operators decide. Nothing starts without a filter or --all, and a confirmation or --yes."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import typer

from db.dead_letters import replay_batches
from db.dead_letters import views as dead_letter_views
from db.dead_letters.replay_batches import ClassTotal
from db.tenants import tenants
from messages.runtime.settings import load
from outbox.ops import output
from outbox.ops.dead_letters import progress, tables
from outbox.ops.dead_letters.options import DeadLetterOptions
from outbox.ops.dead_letters.progress import BatchProgress
from outbox.ops.output import out, plain, print_json, record, said
from outbox.ops.prompts import CommandOptions, confirm, print_result, why
from outbox.ops.session import REFUSED, WAITS_FOR_APPROVAL, LeaveError, Operator, operator_session, troubles
from outbox.requests import approvals
from outbox.requests.operators import dead_letters, replays
from outbox.requests.second_person import needs_second_person
from outbox.sealing import Sealer, SealSettings

# Enough to see what a large batch is made of; `fleet dlq batches BATCH` lists every letter.
MOST_PROOFS = 5_000


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What to replay, how fast, and where to."""

    chosen: DeadLetterOptions
    everything: bool
    rate: int = 20
    target_queue: str | None = None


@troubles()
def preview(wish: ReplayOptions, options: CommandOptions) -> None:
    """Make a batch, wait until it is classified, and show what replaying it would mean."""
    _require_choice(wish.chosen, wish.everything)
    with operator_session(options.operator) as operator:
        batch_id = _make(operator, wish, options)
        classified = progress.until_classified(operator.db, batch_id, patience_seconds=options.patience_seconds)
        totals = _show_preview(operator, classified, as_json=options.as_json)
        if options.as_json:
            print_json(_preview_document(operator, classified, totals))
    said().print(f"\nReplay it:  fleet dlq replay --batch {batch_id}", style="dim")


@troubles()
def replay(wish: ReplayOptions, batch_id: UUID | None, options: CommandOptions) -> None:
    """Replay a previewed batch, or make one from a filter and replay that."""
    if batch_id is None:
        _require_choice(wish.chosen, wish.everything)
    elif wish.everything or not wish.chosen.is_empty:
        raise typer.BadParameter("a batch already has its dead letters: give --batch or a filter, not both")
    with operator_session(options.operator) as operator:
        batch_id = batch_id or _make(operator, wish, options)
        classified = progress.until_classified(operator.db, batch_id, patience_seconds=options.patience_seconds)
        if classified.batch.state == "previewed":
            _start(operator, classified, options)
        settled = progress.until_settled(operator.db, batch_id, patience_seconds=options.patience_seconds)
        _tell_end(settled, as_json=options.as_json)


def _start(operator: Operator, classified: BatchProgress, options: CommandOptions) -> None:
    """Show the preview, ask, start.

    Raises:
        LeaveError: nothing of it may be replayed, the operator said no, or it waits for a second person.
    """
    batch_id = classified.batch.batch_id
    totals = _show_preview(operator, classified, as_json=options.as_json)
    if not any(total.class_ in {"already_done", "safe", "needs_new_key"} for total in totals):
        raise LeaveError(
            REFUSED, f"No dead letter of batch {batch_id} may be replayed; `fleet dlq batches {batch_id}` shows why."
        )
    confirm(f"Replay batch {batch_id}?", f"Not replayed; batch {batch_id} stays previewed.", options)
    if _started(operator, batch_id) == "awaiting_approval":
        if options.as_json:
            print_json({"batch_id": batch_id, "state": "awaiting_approval"})
        sentence = (
            f"It moves more than one operator may approve alone. A second operator runs: fleet dlq approve {batch_id}"
        )
        raise LeaveError(WAITS_FOR_APPROVAL, sentence)


def _started(operator: Operator, batch_id: UUID) -> str:
    with operator.transaction() as acting:
        return replays.start(acting, batch_id)


def _tell_end(settled: BatchProgress, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {"batch_id": settled.batch.batch_id, "state": settled.batch.state, "progress": record(settled.progress)}
        )
    else:
        out().print(tables.progress(settled.progress).append(f", of {_letters(settled.progress.total)}"))
    if settled.batch.state == "canceled":
        raise LeaveError(REFUSED, "The batch was cancelled; dead letters that were not replayed yet stay open.")
    if settled.progress.failed:
        raise LeaveError(REFUSED, f"{settled.progress.failed} failed again: fleet dlq batches {settled.batch.batch_id}")


@troubles()
def approve(batch_id: UUID, options: CommandOptions) -> None:
    with operator_session(options.operator) as operator:
        waiting = progress.standing(operator.db, batch_id)
        said().print(plain(f"Started by {waiting.batch.started_by}: {waiting.batch.reason}\n"))
        _show_preview(operator, waiting, as_json=options.as_json)
        confirm(f"Approve batch {batch_id}?", "Not approved.", options)
        with operator.transaction() as acting:
            approvals.approve_batch(acting, batch_id)
    print_result(
        {"batch_id": batch_id, "state": "running"}, f"Approved. Follow it: fleet dlq batches {batch_id}", options
    )


@troubles()
def cancel(batch_id: UUID, options: CommandOptions) -> None:
    with operator_session(options.operator) as operator:
        reason = why(options)
        with operator.transaction() as acting:
            replays.cancel(acting, batch_id, reason=reason)
    print_result(
        {"batch_id": batch_id, "state": "canceled"},
        "Cancelled; dead letters that were not replayed yet stay open.",
        options,
    )


@troubles()
def discard(chosen: DeadLetterOptions, options: CommandOptions, *, everything: bool) -> None:
    """Discard dead letters, after showing how many and asking."""
    _require_choice(chosen, everything)
    reason, dead_letter_filter = why(options), chosen.as_filter()
    with operator_session(options.operator) as operator:
        with operator.db.ops_transaction() as tx:
            count = dead_letter_views.count(tx, dead_letter_filter)
        if count:
            confirm(f"Discard {_letters(count)}? They are never processed.", "Nothing was discarded.", options)
        with operator.transaction() as acting:
            closed = dead_letters.discard(acting, dead_letter_filter, reason=reason)
    print_result({"discarded": closed}, f"Discarded {_letters(len(closed))}.", options)


@troubles()
def edit(dead_letter_id: UUID, source: str, options: CommandOptions) -> None:
    """Make the linked successor with another payload; nothing runs until that is replayed."""
    payload, reason = _read_payload(source), why(options)
    with operator_session(options.operator) as operator:
        (settings,) = load(SealSettings)
        with operator.transaction() as acting:
            successor = dead_letters.edit(acting, dead_letter_id, payload, Sealer(settings), reason=reason)
    sentence = f"{dead_letter_id} is replaced by {successor}. Replay it: fleet dlq replay {successor} --reason WHY"
    print_result({"dead_letter_id": dead_letter_id, "successor": successor}, sentence, options)


def _make(operator: Operator, wish: ReplayOptions, options: CommandOptions) -> UUID:
    reason, chosen = why(options), wish.chosen.as_filter()
    with operator.transaction() as acting:
        batch_id, size = replays.preview(
            acting, chosen, reason=reason, rate_per_second=wish.rate, target_queue=wish.target_queue
        )
    said().print(f"Batch {batch_id} holds {_letters(size)}.")
    return batch_id


def _show_preview(operator: Operator, classified: BatchProgress, *, as_json: bool) -> list[ClassTotal]:
    """The counts per class and the money it may move; on standard error when standard output is for JSON."""
    with operator.db.ops_transaction() as tx:
        totals = replay_batches.totals(tx, classified.batch.batch_id)
        names = tenants.names(tx)
        items = replay_batches.items(tx, classified.batch.batch_id, limit=MOST_PROOFS)
    console = said() if as_json else out()
    if as_json and not sys.stderr.isatty():
        return totals
    console.print(tables.classes(totals))
    console.print()
    console.print(tables.proofs(items))
    console.print()
    if not tables.may_move(totals):
        console.print("It moves no money.", style="bold")
        return totals
    console.print(tables.movable(totals, names))
    for currency, minor in _above_the_limit(operator, totals).items():
        much, limit = output.money(minor, currency), output.money(operator.settings.replay_approval_minor, currency)
        console.print(f"\n{much} is more than {limit}: a second person must approve it.", style="magenta")
    return totals


def _preview_document(operator: Operator, classified: BatchProgress, totals: list[ClassTotal]) -> dict[str, Any]:
    return {
        "batch_id": classified.batch.batch_id,
        "state": classified.batch.state,
        "letters": classified.progress.total,
        "classes": [record(total) for total in totals],
        "may_move": [
            {"tenant_id": tenant_id, "currency": currency, "letters": count, "amount_minor": minor}
            for (tenant_id, currency), (count, minor) in tables.may_move(totals).items()
        ],
        "needs_approval": bool(_above_the_limit(operator, totals)),
    }


def _above_the_limit(operator: Operator, totals: list[ClassTotal]) -> dict[str, int]:
    """Currencies of which the batch moves more than one operator may approve (decided again when it starts)."""
    by_currency: dict[str, int] = {}
    for (_, currency), (_, minor) in tables.may_move(totals).items():
        by_currency[currency] = by_currency.get(currency, 0) + minor
    limit_minor = operator.settings.replay_approval_minor
    return {
        currency: minor
        for currency, minor in by_currency.items()
        if needs_second_person([minor], limit_minor=limit_minor)
    }


def _require_choice(chosen: DeadLetterOptions, everything: bool) -> None:
    if chosen.is_empty and not everything:
        raise typer.BadParameter("give ids, a filter, or --all for every open dead letter")
    if everything and not chosen.is_empty:
        raise typer.BadParameter("--all and a filter do not go together")


def _read_payload(source: str) -> dict[str, Any]:
    try:
        payload = orjson.loads(sys.stdin.read() if source == "-" else Path(source).read_bytes())
    except OSError as error:
        raise typer.BadParameter(f"{source} cannot be read: {error.strerror}", param_hint="--payload") from None
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"{source} is no JSON: {error}", param_hint="--payload") from None
    if not isinstance(payload, dict):
        raise typer.BadParameter("the payload must be a JSON object", param_hint="--payload")
    return payload


def _letters(count: int) -> str:
    return "1 dead letter" if count == 1 else f"{count} dead letters"
