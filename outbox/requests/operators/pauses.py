"""Hold back the charges, or everything, of a tenant or a venue.

Workers notice within a few seconds; what waits is processed by itself when the pause is over. Intake goes on: orders
are accepted, and their messages wait.
"""

from typing import Any
from uuid import UUID

import psycopg

from db.tenants import pauses, tenants
from db.tenants.pauses import Pause
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError, require

WHAT = ("charges", "all")
SAY_WHY = "give a reason: it is shown beside every payment that waits"


def pause(
    acting: OperatorTransaction,
    *,
    tenant_id: UUID | None,
    venue_id: UUID | None,
    what: str,
    reason: str,
    seconds: float | None,
) -> UUID:
    """Hold back from now on, for `seconds` or (None) until it is lifted; returns the pause's id.

    With `venue_id` alone, the venue's tenant is looked up. `what` is one of WHAT.

    Raises:
        RefusedError: no reason, neither a tenant nor a venue, or one that is not registered.
    """
    require(reason.strip(), SAY_WHY)
    require(what in WHAT, f"a pause holds back {' or '.join(WHAT)}, not {what!r}")
    tx = acting.tx
    owner = tenant_id or (pauses.tenant_of_venue(tx, venue_id) if venue_id else None)
    if owner is None:
        raise RefusedError("name a tenant or a venue that is registered")
    try:
        with tx.transaction():
            pause_id = pauses.add(
                tx, tenant_id=owner, venue_id=venue_id, what=what, reason=reason, by=acting.operator, seconds=seconds
            )
    except psycopg.errors.ForeignKeyViolation:
        raise RefusedError("there is no such tenant, or it has no such venue") from None
    subject: dict[str, Any] = {"pause_id": str(pause_id), "tenant_id": str(owner), "what": what}
    if venue_id is not None:
        subject["venue_id"] = str(venue_id)
    acting.log("pause", subject, reason)
    return pause_id


def pause_everybody(acting: OperatorTransaction, *, what: str, reason: str, seconds: float | None) -> list[UUID]:
    """Hold back every tenant there is, each with a pause of its own; returns their ids.

    Raises:
        RefusedError: no reason, or there is no tenant.
    """
    require(reason.strip(), SAY_WHY)
    made = [
        pauses.add(
            acting.tx, tenant_id=owner, venue_id=None, what=what, reason=reason, by=acting.operator, seconds=seconds
        )
        for owner in sorted(tenants.names(acting.tx))
    ]
    require(made, "there is no tenant")
    acting.log("pause", {"pause_ids": [str(pause_id) for pause_id in made], "what": what}, reason)
    return made


def lift(acting: OperatorTransaction, pause_id: UUID, *, reason: str, alike: bool = False) -> list[UUID]:
    """End a pause now; `alike`: with it all others in force that were added for the same reason. Returns their ids.

    Raises:
        RefusedError: no reason, or it was lifted before, or never was.
    """
    require(reason.strip(), "give a reason")
    chosen = _alike(pauses.in_force(acting.tx), pause_id) if alike else [pause_id]
    lifted = [each for each in chosen if pauses.lift(acting.tx, each, by=acting.operator)]
    require(pause_id in lifted, f"there is no pause {pause_id} that could be lifted")
    for each in lifted:
        acting.log("lift", {"pause_id": str(each)}, reason)
    return lifted


def _alike(held: list[Pause], pause_id: UUID) -> list[UUID]:
    why = {each.reason for each in held if each.pause_id == pause_id}
    return [each.pause_id for each in held if each.reason in why]
