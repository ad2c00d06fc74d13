"""Output: tables or one JSON document on standard output, progress and errors on standard error.

External text (payloads, reasons, headers) is redacted once more and stripped of control characters before it is
shown, so that a dead letter cannot inject terminal escape sequences.
"""

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from messages.money import DECIMALS, Money
from messages.runtime.redaction import redact_text
from outbox.ops.labels import label

PIPED_WIDTH = 160
STATE_STYLES = {
    **{"open": "yellow", "replaying": "cyan", "resolved": "green", "discarded": "dim"},
    **{
        "classifying": "cyan",
        "previewed": "yellow",
        "awaiting_approval": "magenta",
        "running": "cyan",
        "done": "green",
    },
    **{"canceled": "dim", "failed": "red", "succeeded": "green", "closed": "green", "skipped": "yellow"},
    **{"waiting_for_balance": "yellow", "paused": "yellow", "pending": "cyan", "sending": "cyan", "refused": "red"},
}


if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def out() -> Console:
    """Standard output: the terminal's width, or 160 characters in a pipe."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=PIPED_WIDTH)


def said() -> Console:
    """Standard error: progress, questions, errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def is_narrow(console: Console) -> bool:
    """True below 130 columns, where tables use two lines a row; a pipe counts as wide."""
    return console.width < 130


def print_json(value: object) -> None:
    """One indented JSON document on standard output; ids, times and enums as strings. It redacts nothing: use
    `record`.
    """
    sys.stdout.write(orjson.dumps(value, default=_as_json, option=orjson.OPT_INDENT_2).decode() + "\n")


def record(row: "DataclassInstance", *without: str) -> dict[str, Any]:
    """A row as a JSON object, without the named fields: `class_` becomes `class`, texts are redacted, also
    nested ones.
    """
    fields = [field.name for field in dataclasses.fields(row) if field.name not in without]
    return {name.rstrip("_"): _redacted(getattr(row, name)) for name in fields}


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {name: _redacted(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item) for item in value]
    return record(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def _as_json(value: object) -> object:
    return str(value)


def plain(text: object, style: str = "") -> Text:
    """External text made safe to print: redacted, control characters escaped, never parsed as markup."""
    shown = redact_text(str(text))
    return Text("".join(map(_visible, shown)), style=style, overflow="fold")


def _visible(character: str) -> str:
    return character if character.isprintable() or character == "\n" else repr(character)[1:-1]


def table(*columns: str, title: str | None = None, right: tuple[str, ...] = ()) -> Table:
    """An empty table without a frame; the columns named in `right` are aligned to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold", header_style="dim")
    return made


def facts(pairs: dict[str, object]) -> Table:
    """Names and values in two columns; what is None is left out."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value is not None:
            made.add_row(name, value if isinstance(value, Text) else plain(value))
    return made


def state(name: str) -> Text:
    """The cell of a state, in its colour."""
    return plain(label(name), STATE_STYLES.get(name, ""))


def money(minor: int | None, currency: str | None) -> str:
    """The cell of an amount in minor units; - for none, the bare number for a currency that Money does not know."""
    if minor is None or currency is None:
        return "-"
    return str(Money(minor, currency)) if currency in DECIMALS else f"{minor} {currency} minor units"
