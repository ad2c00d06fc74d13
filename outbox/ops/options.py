"""Options shared by the ops commands. Imports none of our packages at the top, so that `fleet` starts fast."""

import re
from typing import Annotated
from uuid import UUID

import typer

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document")]
Operator = Annotated[
    str | None,
    typer.Option(
        "--operator",
        envvar="FLEET_OPERATOR",
        metavar="NAME",
        help="your name for the operator log (default: your login)",
    ),
]
Reason = Annotated[str | None, typer.Option("--reason", metavar="WHY", help="the reason, recorded in the operator log")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask for confirmation")]
Everything = Annotated[bool, typer.Option("--all", help="select all open dead letters; required without a filter")]
Rate = Annotated[int, typer.Option("--rate", min=1, max=1000, metavar="N", help="dead letters replayed per second")]
Patience = Annotated[
    float, typer.Option("--wait", min=0, metavar="SECONDS", help="stop watching after this time without progress")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, metavar="N", help="maximum number of rows")]
State = Annotated[str, typer.Option("--state", metavar="STATE", help="open, replaying, resolved, discarded or all")]
LetterId = Annotated[UUID, typer.Argument(metavar="ID", help="the dead letter's id")]
BatchId = Annotated[UUID, typer.Argument(metavar="BATCH", help="the batch's id")]
Expected = Annotated[
    str | None, typer.Option("--expect", metavar="SEQ:HASH", help="a chain head that you noted earlier")
]

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
# Durations that the console offers in a list, in seconds.
SPANS = {"15 minutes": 900.0, "1 hour": 3_600.0, "4 hours": 14_400.0, "1 day": 86_400.0}


def one_of(name: str, given: str, strs: tuple[str, ...]) -> str:
    if given not in strs:
        raise typer.BadParameter(f"{given!r} is not one of {', '.join(strs)}", param_hint=name)
    return given


def seconds_of(text: str, option: str) -> float:
    """90s, 30m, 2h or 7d."""
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if matched is None:
        raise typer.BadParameter(f"{text!r} is not a duration; use 90s, 30m, 2h or 7d", param_hint=option)
    return float(matched[1]) * _UNITS[matched[2] or "s"]
