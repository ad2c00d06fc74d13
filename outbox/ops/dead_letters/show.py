"""Read-only commands: dead letters, their groups and details, replay batches."""

from uuid import UUID

import orjson
from rich.syntax import Syntax
from rich.text import Text

from db.dead_letters import replay_batches
from db.dead_letters import views as dead_letter_views
from db.dead_letters.views import DeadLetterDetails, DeadLetterLine, FailedRun
from outbox.ops import output
from outbox.ops.dead_letters import explanations, tables
from outbox.ops.dead_letters.options import DeadLetterOptions
from outbox.ops.labels import label
from outbox.ops.output import facts, out, plain, print_json, record, said, table
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles


@troubles()
def list_letters(chosen: DeadLetterOptions, state: str, *, limit: int, as_json: bool) -> None:
    """Print dead letters, newest first, and how many match in all; `state` "all" means any."""
    dead_letter_filter = chosen.as_filter(None if state == "all" else state)
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        dead_letters, total = (
            dead_letter_views.find(tx, dead_letter_filter, limit=limit),
            dead_letter_views.count(tx, dead_letter_filter),
        )
    if as_json:
        print_json({"total": total, "letters": [record(letter) for letter in dead_letters]})
        return
    console = out()
    if dead_letters:
        console.print(tables.letters(console, dead_letters))
    left = f" of {total}; --limit shows more" if total > len(dead_letters) else ""
    said().print(f"{len(dead_letters)} dead letters{left}." if dead_letters else "No dead letters match.", style="dim")


@troubles()
def show_groups(chosen: DeadLetterOptions, state: str, *, as_json: bool) -> None:
    """Print groups of dead letters, the largest first."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        dead_letter_groups = dead_letter_views.groups(tx, chosen.as_filter(None if state == "all" else state))
    if as_json:
        print_json({"groups": [record(group) for group in dead_letter_groups]})
        return
    console = out()
    if not dead_letter_groups:
        said().print("No dead letters match.", style="dim")
        return
    console.print(tables.groups(console, dead_letter_groups))
    said().print("\nPreview a replay: fleet dlq preview --group KEY --reason WHY", style="dim")


@troubles()
def show_letter(dead_letter_id: UUID, *, payload_only: bool, as_json: bool) -> None:
    """Print one dead letter with its history and the possible next steps; `payload_only` prints the redacted payload
    alone.

    Raises:
        LeaveError: not found (exit code 1); `troubles` turns it into a sentence.
    """
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        detail = dead_letter_views.detail(tx, dead_letter_id)
    if detail is None:
        raise LeaveError(REFUSED, f"Dead letter {dead_letter_id} not found.")
    if payload_only:
        out().print(plain(_pretty(detail.payload)), soft_wrap=True)
    elif as_json:
        print_json(_as_document(detail))
    else:
        _print_letter(detail)


def _as_document(detail: DeadLetterDetails) -> dict[str, object]:
    shown = record(detail, "letter", "payload")
    meaning = explanations.CAUSES[detail.letter.cause].what
    payload = _parsed(record(detail)["payload"])
    return (
        record(detail.letter)
        | {"payload": payload, "meaning": meaning, "next": list(map(record, explanations.next_steps(detail)))}
        | shown
    )


def _print_letter(detail: DeadLetterDetails) -> None:
    console, letter = out(), detail.letter
    console.print(
        Text("Dead letter ", style="bold")
        .append(str(letter.dead_letter_id))
        .append("  ")
        .append(output.state(letter.state))
    )
    console.print()
    console.print(_letter_facts(detail))
    console.print(Text("\nPayload", style="bold").append(" (redacted)", "dim"))
    console.print(Syntax(plain(_pretty(detail.payload)).plain, "json", background_color="default", word_wrap=True))
    if detail.headers:
        console.print(Text("\nHeaders", style="bold"))
        console.print(facts({name: _flat(value) for name, value in detail.headers.items()}))
    if detail.history:
        console.print(Text("\nFailed attempts", style="bold"))
        for run in detail.history:
            _print_run(run)
    if detail.replays:
        console.print(Text("\nReplays", style="bold"))
        console.print(_replays(detail))
    console.print(Text("\nNext steps", style="bold"))
    for step in explanations.next_steps(detail):
        console.print(plain(f"{step.says}{':' if step.command else '.'}"))
        if step.command:
            console.print(plain(f"    {step.command}", "cyan"), soft_wrap=True)


def _letter_facts(detail: DeadLetterDetails) -> object:
    letter = detail.letter
    return facts({
        "reason": plain(letter.reason, "bold"),
        "cause": f"{explanations.cause(letter.cause)}: {explanations.CAUSES[letter.cause].what}",
        "failed": f"{_moment(letter.died_at)}" + (f", {letter.deaths} times" if letter.deaths > 1 else ""),
        "message": " ".join(filter(None, [letter.kind or "unknown message", letter.message_id])),
        "source": letter.source + (f", queue {letter.queue}" if letter.queue else ""),
        "error": " at ".join(filter(None, [letter.error_class, letter.top_frame])) or None,
        "group": letter.group_key,
        "payment": letter.payment_id,
        "tenant": letter.tenant_id,
        "trace": letter.trace_id,
        "replaces": letter.successor_of,
        "replaced by": ", ".join(map(str, detail.successors)) or None,
        "closed": _closed(letter),
    })  # fmt: skip


def _closed(letter: DeadLetterLine) -> str | None:
    if letter.closed_at is None:
        return None
    return f"{_moment(letter.closed_at)} by {letter.closed_by}: {letter.closed_because}"


def _print_run(run: FailedRun) -> None:
    then = f"{run.verdict.replace('_', ' ')} at {_moment(run.next_due_at)}" if run.next_due_at else "gave up"
    head = f"{_moment(run.failed_at)}  run {run.run}, attempt {run.attempt}: {then}"
    console = out()
    console.print(plain(head, "dim"))
    console.print(plain(f"  {run.error_class}: {run.reason}"))
    if run.traceback:
        indented = "\n".join(f"    {line}" for line in run.traceback.rstrip().splitlines())
        console.print(plain(indented, "dim"))


def _replays(detail: DeadLetterDetails) -> object:
    shown = table("batch", "when", "by", "class", "outcome", "reason")
    for replay in detail.replays:
        class_ = label(replay.class_) if replay.class_ else "not classified"
        when = _moment(replay.moved_at)
        outcome = output.state(replay.state)
        shown.add_row(str(replay.batch_id), when, plain(replay.created_by), class_, outcome, plain(replay.proof or "-"))
    return shown


@troubles()
def list_batches(batch_id: UUID | None, *, limit: int, as_json: bool) -> None:
    """Print the latest batches, or one with its items.

    Raises:
        LeaveError: the batch is not found (exit code 1).
    """
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        replay_batch = replay_batches.get(tx, batch_id) if batch_id else None
        found = [replay_batch] if replay_batch else [] if batch_id else replay_batches.latest(tx, limit=limit)
        progress = [(batch, replay_batches.progress(tx, batch.batch_id)) for batch in found]
        items = replay_batches.items(tx, batch_id, limit=limit) if batch_id else []
    if batch_id and not replay_batch:
        raise LeaveError(REFUSED, f"Batch {batch_id} not found.")
    if as_json:
        documents = [record(batch) | {"progress": record(done)} for batch, done in progress]
        print_json({"batches": documents} | ({"items": [record(item) for item in items]} if batch_id else {}))
        return
    console = out()
    console.print(tables.batches(console, progress) if progress else "No replay batches yet.")
    if items:
        console.print()
        console.print(tables.items(items))


def _pretty(payload: str) -> str:
    parsed = _parsed(payload)
    return payload if isinstance(parsed, str) else orjson.dumps(parsed, option=orjson.OPT_INDENT_2).decode()


def _parsed(payload: object) -> object:
    try:
        return orjson.loads(str(payload))
    except orjson.JSONDecodeError:
        return payload


def _flat(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _moment(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
