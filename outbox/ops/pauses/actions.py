"""Holding back the charges, or everything, of a tenant or a venue: decided here for the command line and the console.

Each decision is one transaction with its entry in the operator log. Workers notice within a few seconds; what waits
comes back by itself when the pause is over.
"""

from typing import Any
from uuid import UUID

import psycopg

from db.operators import log as operator_log
from db.tenants import pauses, tenants
from db.tenants.pauses import Pause
from outbox.ops.dead_letters.actions import Operator, RefusedError

WHAT = ("charges", "all")


def pause(
    operator: Operator, *, tenant_id: UUID | None, venue_id: UUID | None, what: str, reason: str, seconds: float | None
) -> UUID:
    """Hold back from now on, for so many seconds or until it is lifted; returns the pause's id.

    Raises:
        RefusedError: no reason, neither a tenant nor a venue, or one that nobody knows.
    """
    if not reason.strip():
        raise RefusedError("say why, in a few words: it is shown beside every payment that waits")
    if what not in WHAT:
        raise RefusedError(f"a pause holds back {' or '.join(WHAT)}, not {what!r}")
    with operator.db.ops_transaction() as tx:
        owner = tenant_id or (pauses.tenant_of_venue(tx, venue_id) if venue_id else None)
        if owner is None:
            raise RefusedError("name a tenant or a venue that is registered")
        try:
            pause_id = pauses.add(
                tx, tenant_id=owner, venue_id=venue_id, what=what, reason=reason, by=operator.operator, seconds=seconds
            )
        except psycopg.errors.ForeignKeyViolation:
            raise RefusedError("there is no such tenant, or it has no such venue") from None
        subject: dict[str, Any] = {"pause_id": str(pause_id), "tenant_id": str(owner), "what": what}
        if venue_id is not None:
            subject["venue_id"] = str(venue_id)
        operator_log.write(tx, operator=operator.operator, action="pause", subject=subject, reason=reason)
    return pause_id


def pause_everybody(operator: Operator, *, what: str, reason: str, seconds: float | None) -> list[UUID]:
    """Hold back every tenant there is, each with a pause of its own; returns their ids.

    Raises:
        RefusedError: no reason, or there is no tenant.
    """
    if not reason.strip():
        raise RefusedError("say why, in a few words: it is shown beside every payment that waits")
    with operator.db.ops_transaction() as tx:
        made = [
            pauses.add(
                tx, tenant_id=owner, venue_id=None, what=what, reason=reason, by=operator.operator, seconds=seconds
            )
            for owner in sorted(tenants.names(tx))
        ]
        if not made:
            raise RefusedError("there is no tenant")
        subject = {"pause_ids": [str(pause_id) for pause_id in made], "what": what}
        operator_log.write(tx, operator=operator.operator, action="pause", subject=subject, reason=reason)
    return made


def lift(operator: Operator, pause_id: UUID, *, reason: str, alike: bool = False) -> list[UUID]:
    """End a pause now; `alike`: with it all others in force that were added for the same reason. Returns their ids.

    Raises:
        RefusedError: no reason, or it was lifted before, or never was.
    """
    if not reason.strip():
        raise RefusedError("say why, in a few words")
    with operator.db.ops_transaction() as tx:
        chosen = _alike(pauses.in_force(tx), pause_id) if alike else [pause_id]
        lifted = [each for each in chosen if pauses.lift(tx, each, by=operator.operator)]
        if pause_id not in lifted:
            raise RefusedError(f"there is no pause {pause_id} that could be lifted")
        for each in lifted:
            operator_log.write(
                tx, operator=operator.operator, action="lift", subject={"pause_id": str(each)}, reason=reason
            )
    return lifted


def _alike(held: list[Pause], pause_id: UUID) -> list[UUID]:
    why = {each.reason for each in held if each.pause_id == pause_id}
    return [each.pause_id for each in held if each.reason in why]


def place(held: Pause) -> str:
    return held.tenant if held.venue is None else f"{held.venue} of {held.tenant}"


def end(held: Pause) -> str:
    if held.lifted_at is not None:
        return f"lifted {held.lifted_at:%Y-%m-%d %H:%M:%S} by {held.lifted_by}"
    return f"{held.ends_at:%Y-%m-%d %H:%M:%S}" if held.ends_at else "it is lifted"
