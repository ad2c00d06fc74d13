"""Prompts of the operator commands, how they print their result, and a progress bar for work that they wait for.

Watching is read-only: after Ctrl-C or a closed terminal the work continues, and can be watched again.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from outbox.broker.topology import EX_UNAVAILABLE
from outbox.ops.output import out, plain, print_json, said
from outbox.ops.session import INTERRUPTED, REFUSED, LeaveError

LOOK_EVERY_SECONDS = 0.25

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """Options of every command that changes something: operator, reason, confirmation, output and how long to wait."""

    operator: str | None
    reason: str | None
    yes: bool = False
    as_json: bool = False
    patience_seconds: float = 120


def why(options: CommandOptions) -> str:
    """The reason for the operator log: --reason, or asked for on a terminal.

    Raises:
        typer.BadParameter: none is given and there is no terminal (exit code 2).
    """
    if options.reason is None and sys.stdin.isatty():
        return str(typer.prompt("Reason", err=True))
    if not (options.reason or "").strip():
        raise typer.BadParameter("a reason is required; it is recorded in the operator log", param_hint="--reason")
    return str(options.reason)


def confirm(question: str, otherwise: str, options: CommandOptions) -> None:
    """Ask on standard error, unless --yes. No answer (no terminal, end of input, Ctrl-C) is a no.

    Raises:
        LeaveError: the answer is no; `otherwise` says what was not done (exit code 1).
    """
    if options.yes:
        return
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:  # no terminal, or Ctrl-C
        agreed = False
    if not agreed:
        raise LeaveError(REFUSED, otherwise + ("" if sys.stdin.isatty() else " (--yes answers for a script.)"))


def print_result(document: dict[str, Any], sentence: str, options: CommandOptions) -> None:
    """The outcome of a command: the document with --json, else the sentence."""
    if options.as_json:
        print_json(document)
    else:
        out().print(plain(sentence), soft_wrap=True)


def follow(
    look: Callable[[], T],
    *,
    title: str,
    count: Callable[[T], tuple[int, int]],
    ended: Callable[[T], bool],
    patience_seconds: float,
    standing_still: Callable[[T], str],
    moves: Callable[[T], int] | None = None,
    stopped: str = "Stopped watching; it continues in the background.",
) -> T:
    """Poll until it has ended, with a progress bar on a terminal; returns what was read last.

    `look` reads the present state, about four times a second, in a transaction of its own. `count` returns (done,
    total); `moves` returns the number whose change counts as progress, by default `done`.

    Raises:
        LeaveError: no progress for `patience_seconds` (exit code 69), or Ctrl-C (130); the work continues in both
            cases.
    """
    seen, since = -1, time.monotonic()
    try:
        with _bar(title) as (bar, task):
            while True:
                seen_now = look()
                done, total = count(seen_now)
                bar.update(task, completed=done, total=total)
                if ended(seen_now):
                    return seen_now
                now = moves(seen_now) if moves else done
                if now != seen:
                    seen, since = now, time.monotonic()
                elif time.monotonic() - since >= patience_seconds:
                    raise LeaveError(EX_UNAVAILABLE, standing_still(seen_now))
                time.sleep(LOOK_EVERY_SECONDS)
    except KeyboardInterrupt:
        raise LeaveError(INTERRUPTED, stopped) from None


@contextmanager
def _bar(title: str) -> Iterator[tuple[Progress, TaskID]]:
    columns = (SpinnerColumn(), TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=said(), transient=True, disable=not sys.stderr.isatty()) as bar:
        yield bar, bar.add_task(title, total=None)
