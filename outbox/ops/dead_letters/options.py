"""The options that select dead letters. No import of ours at the top but options: `fleet` must start fast."""

# ruff: noqa: PLC0415

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from outbox.ops.options import one_of, seconds_of

if TYPE_CHECKING:
    from db.dead_letters.views import DeadLetterFilter

STATES = ("open", "replaying", "resolved", "discarded", "all")
_PANEL = "Filters"


@dataclass(frozen=True, slots=True)
class DeadLetterOptions:
    """The dead letters selected on the command line; `as_filter` converts them for the database."""

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
        """True when neither ids nor a filter are given; such a command needs --all."""
        return self == NOTHING

    def as_filter(self, state: str | None = "open") -> "DeadLetterFilter":
        from db.dead_letters.states import CAUSES
        from db.dead_letters.views import DeadLetterFilter

        if self.cause is not None:
            one_of("--cause", self.cause, CAUSES)
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
        str | None, typer.Option(metavar="KEY", help="group key, as shown by `fleet dlq group`", rich_help_panel=_PANEL)
    ] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="message kind: charge, webhook, ...", rich_help_panel=_PANEL)
    ] = None,
    cause: Annotated[
        str | None, typer.Option(metavar="CAUSE", help="failure cause: gave_up, ...", rich_help_panel=_PANEL)
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="origin: worker, orders or broker", rich_help_panel=_PANEL)
    ] = None,
    tenant: Annotated[UUID | None, typer.Option(metavar="ID", help="tenant id", rich_help_panel=_PANEL)] = None,
    payment: Annotated[UUID | None, typer.Option(metavar="ID", help="payment id", rich_help_panel=_PANEL)] = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="text contained in the reason", rich_help_panel=_PANEL)
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="minimum age: 90s, 30m, 2h, 7d", rich_help_panel=_PANEL)
    ] = None,
) -> DeadLetterOptions:
    older_than_seconds = seconds_of(older_than, "--older-than") if older_than is not None else None
    return DeadLetterOptions(
        tuple(letters or ()), group, kind, cause, source, tenant, payment, text, older_than_seconds
    )


def choosing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `_choose` to a command, which receives them as one argument, `chosen`."""
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
