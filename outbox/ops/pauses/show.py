"""`fleet pause add|list|lift`: output and prompts; commands.py has the options, outbox/requests what may be asked."""

from uuid import UUID

from db.tenants import pauses
from db.tenants.pauses import Pause
from outbox.ops.output import out, plain, print_json, record, said, table
from outbox.ops.prompts import CommandOptions, print_result, why
from outbox.ops.session import operator_session, troubles
from outbox.requests.operators import pauses as pause_requests


@troubles()
def add_pause(
    tenant_id: UUID | None, venue_id: UUID | None, what: str, seconds: float | None, options: CommandOptions
) -> None:
    """Hold back a tenant or a venue for `seconds`, or (None) until the pause is lifted; prints its id."""
    with operator_session(options.operator) as operator:
        reason = why(options)
        with operator.transaction() as acting:
            pause_id = pause_requests.pause(
                acting, tenant_id=tenant_id, venue_id=venue_id, what=what, reason=reason, seconds=seconds
            )
    print_result({"pause_id": pause_id}, f"Paused. Lift it: fleet pause lift {pause_id} --reason WHY", options)


@troubles()
def pause_everybody(what: str, seconds: float | None, options: CommandOptions) -> None:
    """Hold back every tenant with a pause each; prints the command that lifts all of them."""
    with operator_session(options.operator) as operator:
        reason = why(options)
        with operator.transaction() as acting:
            made = pause_requests.pause_everybody(acting, what=what, reason=reason, seconds=seconds)
    sentence = f"Paused {len(made)} tenants. Lift them all: fleet pause lift {made[0]} --alike --reason WHY"
    print_result({"pause_ids": made}, sentence, options)


@troubles()
def lift_pause(pause_id: UUID, options: CommandOptions, *, alike: bool) -> None:
    """End a pause, or with `alike` every pause in force that has the same reason."""
    with operator_session(options.operator) as operator:
        reason = why(options)
        with operator.transaction() as acting:
            lifted = pause_requests.lift(acting, pause_id, reason=reason, alike=alike)
    said_of = "Lifted" if len(lifted) == 1 else f"Lifted {len(lifted)} pauses"
    print_result(
        {"pause_ids": lifted} if alike else {"pause_id": pause_id},
        f"{said_of}. Waiting messages are processed again within a minute.",
        options,
    )


@troubles()
def list_pauses(*, everything: bool, limit: int, as_json: bool) -> None:
    """Print the pauses in force; `everything` includes those that have ended."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        found = pauses.latest(tx, limit=limit) if everything else pauses.in_force(tx)
    if as_json:
        print_json({"pauses": [record(each) for each in found]})
        return
    shown = table("pause", "paused", "tenant or venue", "since", "until", "by", "reason")
    for each in found:
        since = f"{each.paused_at:%Y-%m-%d %H:%M:%S}"
        held_back = (each.what, plain(place(each)), since, plain(end(each)))
        shown.add_row(str(each.pause_id), *held_back, plain(each.paused_by), plain(each.reason))
    if found:
        out().print(shown)
    else:
        said().print("Nothing is paused.", style="dim")


def place(held: Pause) -> str:
    return held.tenant if held.venue is None else f"{held.venue} of {held.tenant}"


def end(held: Pause) -> str:
    if held.lifted_at is not None:
        return f"lifted {held.lifted_at:%Y-%m-%d %H:%M:%S} by {held.lifted_by}"
    return f"{held.ends_at:%Y-%m-%d %H:%M:%S}" if held.ends_at else "it is lifted"
