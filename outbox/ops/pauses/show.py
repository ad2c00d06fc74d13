"""`fleet pause add|list|lift`: output and prompts; commands.py has the options, actions.py the database changes."""

from uuid import UUID

from db.tenants import pauses
from outbox.ops.dead_letters.decide import CommandOptions, told, why
from outbox.ops.output import out, plain, print_json, record, said, table
from outbox.ops.pauses import actions as pause_actions
from outbox.ops.session import desk, troubles


@troubles()
def add_pause(
    tenant_id: UUID | None, venue_id: UUID | None, what: str, seconds: float | None, options: CommandOptions
) -> None:
    with desk(options.operator) as operator:
        pause_id = pause_actions.pause(
            operator, tenant_id=tenant_id, venue_id=venue_id, what=what, reason=why(options), seconds=seconds
        )
    told({"pause_id": pause_id}, f"Paused. Lift it: fleet pause lift {pause_id} --reason WHY", options)


@troubles()
def pause_everybody(what: str, seconds: float | None, options: CommandOptions) -> None:
    with desk(options.operator) as operator:
        made = pause_actions.pause_everybody(operator, what=what, reason=why(options), seconds=seconds)
    sentence = f"Paused {len(made)} tenants. Lift them all: fleet pause lift {made[0]} --alike --reason WHY"
    told({"pause_ids": made}, sentence, options)


@troubles()
def lift_pause(pause_id: UUID, options: CommandOptions, *, alike: bool) -> None:
    with desk(options.operator) as operator:
        lifted = pause_actions.lift(operator, pause_id, reason=why(options), alike=alike)
    said_of = "Lifted" if len(lifted) == 1 else f"Lifted {len(lifted)} pauses"
    told(
        {"pause_ids": lifted} if alike else {"pause_id": pause_id},
        f"{said_of}. Waiting messages are processed again within a minute.",
        options,
    )


@troubles()
def list_pauses(*, everything: bool, limit: int, as_json: bool) -> None:
    with desk() as operator, operator.db.ops_transaction() as tx:
        found = pauses.latest(tx, limit=limit) if everything else pauses.in_force(tx)
    if as_json:
        print_json({"pauses": [record(each) for each in found]})
        return
    shown = table("pause", "paused", "tenant or venue", "since", "until", "by", "reason")
    for each in found:
        since = f"{each.paused_at:%Y-%m-%d %H:%M:%S}"
        held_back = (each.what, plain(pause_actions.place(each)), since, plain(pause_actions.end(each)))
        shown.add_row(str(each.pause_id), *held_back, plain(each.paused_by), plain(each.reason))
    if found:
        out().print(shown)
    else:
        said().print("Nothing is paused.", style="dim")
