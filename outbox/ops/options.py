"""The options that several ops commands share. No import of ours at the top: `fleet` must start fast."""

# ruff: noqa: PLC0415

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

if TYPE_CHECKING:
    from db.dead_letters.views import DeadLetterFilter

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document")]
Operator = Annotated[
    str | None,
    typer.Option("--operator", envvar="FLEET_OPERATOR", metavar="NAME", help="who the log names [default: your login]"),
]
Reason = Annotated[str | None, typer.Option("--reason", metavar="WHY", help="why; it is kept in the operator log")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask for confirmation")]
Everything = Annotated[bool, typer.Option("--all", help="every open letter; needed when there is no filter")]
Rate = Annotated[int, typer.Option("--rate", min=1, max=1000, metavar="N", help="letters replayed a second")]
Patience = Annotated[
    float, typer.Option("--wait", min=0, metavar="SECONDS", help="stop watching after so long without progress")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, metavar="N", help="show at most so many")]
State = Annotated[str, typer.Option("--state", metavar="STATE", help="open, replaying, resolved, discarded or all")]
LetterId = Annotated[UUID, typer.Argument(metavar="ID", help="the dead letter's id")]
BatchId = Annotated[UUID, typer.Argument(metavar="BATCH", help="the batch's id")]
Expected = Annotated[str | None, typer.Option("--expect", metavar="SEQ:HASH", help="a head that you noted earlier")]

STATES = ("open", "replaying", "resolved", "discarded", "all")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PANEL = "Which letters"
# What a person picks from a list, as the console offers it; seconds.
SPANS = {"15 minutes": 900.0, "1 hour": 3_600.0, "4 hours": 14_400.0, "1 day": 86_400.0}


@dataclass(frozen=True, slots=True)
class DeadLetterOptions:
    """Which letters the command line names; `as_filter` is what a request takes."""

    letters: tuple[UUID, ...]
    group: str | None
    kind: str | None
    cause: str | None
    source: str | None
    tenant: UUID | None
    payment: UUID | None
    text: str | None
    older_than_seconds: float | None

    @property
    def is_empty(self) -> bool:
        return self == NOTHING

    def as_filter(self, state: str | None = "open") -> "DeadLetterFilter":
        from db.dead_letters.views import DeadLetterFilter
        from outbox.ops.dead_letters.explanations import CAUSES

        if self.cause is not None:
            one_of("--cause", self.cause, tuple(CAUSES))
        return DeadLetterFilter(
            ids=self.letters or None,
            group_key=self.group,
            kind=self.kind,
            cause=self.cause,
            source=self.source,
            tenant_id=self.tenant,
            payment_id=self.payment,
            state=state,
            text=self.text,
            older_than_seconds=self.older_than_seconds,
        )


NOTHING = DeadLetterOptions((), None, None, None, None, None, None, None, None)


def _choose(
    letters: Annotated[list[UUID] | None, typer.Argument(metavar="ID", help="dead letters by id")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="KEY", help="of `fleet dlq group`", rich_help_panel=_PANEL)
    ] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="charge, webhook, ...", rich_help_panel=_PANEL)
    ] = None,
    cause: Annotated[str | None, typer.Option(metavar="CAUSE", help="gave_up, ...", rich_help_panel=_PANEL)] = None,
    source: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="worker, orders, broker", rich_help_panel=_PANEL)
    ] = None,
    tenant: Annotated[UUID | None, typer.Option(metavar="ID", help="of one tenant", rich_help_panel=_PANEL)] = None,
    payment: Annotated[UUID | None, typer.Option(metavar="ID", help="of one payment", rich_help_panel=_PANEL)] = None,
    text: Annotated[str | None, typer.Option(metavar="WORDS", help="in the reason", rich_help_panel=_PANEL)] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="90s, 30m, 2h, 7d", rich_help_panel=_PANEL)
    ] = None,
) -> DeadLetterOptions:
    older_than_seconds = seconds_of(older_than, "--older-than") if older_than is not None else None
    return DeadLetterOptions(
        tuple(letters or ()), group, kind, cause, source, tenant, payment, text, older_than_seconds
    )


def choosing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_choose`; it receives them as one `chosen`."""
    offered = inspect.signature(_choose).parameters
    own = [parameter for name, parameter in inspect.signature(command).parameters.items() if name != "chosen"]

    @wraps(command)
    def with_options(**given: Any) -> None:
        selection = {name: given.pop(name) for name in offered}
        command(chosen=_choose(**selection), **given)

    arguments = [offered["letters"], *own, *[parameter for name, parameter in offered.items() if name != "letters"]]
    by_name = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in arguments]
    with_options.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in arguments}
    return with_options


def one_of(name: str, given: str, strs: tuple[str, ...]) -> str:
    if given not in strs:
        raise typer.BadParameter(f"{given!r} is not one of {', '.join(strs)}", param_hint=name)
    return given


def seconds_of(text: str, option: str) -> float:
    """90s, 30m, 2h or 7d."""
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if matched is None:
        raise typer.BadParameter(f"{text!r} is no length of time; write 90s, 30m, 2h or 7d", param_hint=option)
    return float(matched[1]) * _UNITS[matched[2] or "s"]
