"""Tables of dead letters, groups and batches: more columns on a wide terminal, more lines on a narrow one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from rich.console import Console
from rich.table import Table
from rich.text import Text

from db.dead_letters.replay_batches import ClassTotal, ItemCounts, ReplayBatch, ReplayItem
from db.dead_letters.views import DeadLetterGroup, DeadLetterLine
from outbox.ops import output
from outbox.ops.dead_letters import explanations
from outbox.ops.labels import label
from outbox.ops.output import is_narrow, plain, table

CLASS_STYLES = {"already_done": "green", "safe": "green", "needs_new_key": "yellow", "must_not": "red"}

_GROUP_NUMBERS = ("dead letters", "payments", "newest")


def _class(name: str | None) -> Text:
    return Text(label(name) if name else "not classified", style=CLASS_STYLES.get(name or "", "dim"))


def letters(console: Console, dead_letters: Sequence[DeadLetterLine]) -> Table:
    """Dead letters as a table that fits the console's width."""
    return _narrow_letters(dead_letters) if is_narrow(console) else _wide_letters(console, dead_letters)


def _wide_letters(console: Console, dead_letters: Sequence[DeadLetterLine]) -> Table:
    """One line per dead letter; the reason gets the remaining width."""
    shown = table("dead letter", "age", "state", "kind", "cause", "group", "reason", right=("age",))
    others = 36 + 4 + 9 + 13 + 12 + 2 * 6 + max((len(letter.kind or "-") for letter in dead_letters), default=4)
    for letter in dead_letters:
        shown.add_row(
            str(letter.dead_letter_id),
            age(letter.died_at),
            output.state(letter.state),
            plain(letter.kind or "-"),
            explanations.cause(letter.cause),
            letter.group_key,
            _first_line(letter.reason, at_most=max(40, console.width - others)),
        )
    return shown


def _narrow_letters(dead_letters: Sequence[DeadLetterLine]) -> Table:
    """Two lines per dead letter."""
    shown = table("dead letter", "age", "message", "reason", right=("age",))
    shown.columns[0].no_wrap = True
    for letter in dead_letters:
        what = plain(letter.kind or letter.source).append(f"\n{explanations.cause(letter.cause)}", "dim")
        where = Text(str(letter.dead_letter_id)).append(f"\ngroup {letter.group_key}, ", "dim")
        reason = _first_line(letter.reason, at_most=64)
        shown.add_row(where.append(output.state(letter.state)), age(letter.died_at), what, reason)
    return shown


def groups(console: Console, dead_letter_groups: Sequence[DeadLetterGroup]) -> Table:
    """One row per group: the number of dead letters and of payments, and an example of the reason."""
    narrow = is_narrow(console)
    shown = table("group", "dead letters", "payments", "newest", "message", "example", right=_GROUP_NUMBERS)
    shown.columns[0].no_wrap = True
    for group in dead_letter_groups:
        what = plain(group.kind or "-").append(f"  {explanations.cause(group.cause)}", "dim")
        where = " at ".join(filter(None, [group.error_class, group.top_frame]))
        what.append("\n").append(plain(where, "dim")) if where else None
        counts = (str(group.letters), str(group.payments), age(group.newest))
        shown.add_row(group.group_key, *counts, what, _first_line(group.example, at_most=60 if narrow else 110))
    return shown


def classes(totals: Sequence[ClassTotal]) -> Table:
    """The number of dead letters in each class, with its meaning."""
    shown = table("class", "dead letters", "meaning", "replay", right=("dead letters",))
    for name in (*explanations.CLASSES, None):
        count = sum(total.items for total in totals if total.class_ == name)
        if count:
            meaning = explanations.class_meaning(name)
            shown.add_row(_class(name), str(count), meaning.what, meaning.then)
    return shown


def movable(totals: Sequence[ClassTotal], names: Mapping[UUID, str]) -> Table:
    """The money a replay may move, by tenant and currency."""
    shown = table("tenant", "currency", "dead letters", "may move", right=("dead letters", "may move"))
    for (tenant_id, currency), (count, minor) in may_move(totals).items():
        name = names.get(tenant_id, str(tenant_id)) if tenant_id else "-"
        shown.add_row(plain(name), currency.upper(), str(count), Text(output.money(minor, currency), style="bold"))
    return shown


def may_move(totals: Sequence[ClassTotal]) -> dict[tuple[UUID | None, str], tuple[int, int]]:
    """By tenant and currency: the number of dead letters that may move money, and the amount in minor units."""
    sums: dict[tuple[UUID | None, str], tuple[int, int]] = {}
    for total in totals:
        if total.class_ in {"safe", "needs_new_key"} and total.currency:
            count, minor = sums.get((total.tenant_id, total.currency), (0, 0))
            sums[total.tenant_id, total.currency] = (count + total.items, minor + total.amount_minor)
    return sums


def proofs(replay_items: Sequence[ReplayItem], *, at_most: int = 8) -> Table:
    """The reasons for the classification with the number of dead letters; `must_not` comes first."""
    seen = Counter((item.class_, item.proof or "-") for item in replay_items)
    order = ["must_not", "needs_new_key", "safe", "already_done", None]
    shown = table("class", "dead letters", "reason", right=("dead letters",))
    for (name, proof), count in sorted(seen.items(), key=lambda entry: (order.index(entry[0][0]), -entry[1]))[:at_most]:
        shown.add_row(_class(name), str(count), plain(proof))
    return shown


def items(replay_items: Sequence[ReplayItem]) -> Table:
    """One row per item of a batch, with its class, its proof and the money it may move."""
    shown = table("dead letter", "class", "state", "may move", "reason", right=("may move",))
    shown.columns[0].no_wrap = True
    for item in replay_items:
        moves = output.money(item.amount_minor, item.currency)
        shown.add_row(
            str(item.dead_letter_id), _class(item.class_), output.state(item.state), moves, plain(item.proof or "-")
        )
    return shown


def progress(of: ItemCounts) -> Text:
    """The counts of a batch's items in one line; states without an item are left out."""
    counts = {name: getattr(of, name) for name in ("succeeded", "closed", "skipped", "failed", "appended", "waiting")}
    said = Text()
    for place, (name, count) in enumerate((name, count) for name, count in counts.items() if count):
        said.append(", " if place else "").append(f"{count} {name}", output.STATE_STYLES.get(name, ""))
    return said


def batches(console: Console, found: Sequence[tuple[ReplayBatch, ItemCounts]]) -> Table:
    """One row per batch, with who made and who approved it."""
    shown = table("batch", "age", "state", "by", "dead letters", "progress", "reason", right=("age", "dead letters"))
    shown.columns[0].no_wrap = True
    for batch, done in found:
        people = batch.created_by + (f"\napproved by {batch.approved_by}" if batch.approved_by else "")
        reason = plain(batch.reason)
        if batch.target_queue:
            reason.append("\n").append(plain(f"redirected to {batch.target_queue}", "dim"))
        counts = (str(done.total), progress(done))
        shown.add_row(
            str(batch.batch_id), age(batch.created_at), output.state(batch.state), plain(people), *counts, reason
        )
    return shown


def age(moment: datetime) -> str:
    """How long ago, by this machine's clock."""
    return explanations.age(moment, datetime.now(UTC))


def _first_line(text: str, *, at_most: int = 500) -> Text:
    line = text.strip().splitlines()[0] if text.strip() else "-"
    return plain(line if len(line) <= at_most else line[: at_most - 1] + "…")
