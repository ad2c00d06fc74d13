"""Holding back the charges, or everything, of a tenant or a venue: decided here for the command line and the console.

Each decision is one transaction with its entry in the operator log. Workers notice within a few seconds; what waits
comes back by itself when the pause is over.
"""

from typing import Any
from uuid import UUID

import psycopg

from db import operator_log, pauses
from db.pauses import Pause
from outbox.ops.desk import Desk, RefusedError

WHAT = ("charges", "all")


def pause(
    at: Desk, *, tenant_id: UUID | None, venue_id: UUID | None, what: str, reason: str, seconds: float | None
) -> UUID:
    """Hold back from now on, for so many seconds or until it is lifted; returns the pause's id.

    Raises:
        RefusedError: no reason, neither a tenant nor a venue, or one that nobody knows.
    """
    if not reason.strip():
        raise RefusedError("say why, in a few words: it is shown beside every payment that waits")
    if what not in WHAT:
        raise RefusedError(f"a pause holds back {' or '.join(WHAT)}, not {what!r}")
    with at.db.ops_transaction() as tx:
        owner = tenant_id or (pauses.tenant_of_venue(tx, venue_id) if venue_id else None)
        if owner is None:
            raise RefusedError("name a tenant or a venue that is registered")
        try:
            pause_id = pauses.add(
                tx, tenant_id=owner, venue_id=venue_id, what=what, reason=reason, by=at.operator, seconds=seconds
            )
        except psycopg.errors.ForeignKeyViolation:
            raise RefusedError("there is no such tenant, or it has no such venue") from None
        subject: dict[str, Any] = {"pause_id": str(pause_id), "tenant_id": str(owner), "what": what}
        if venue_id is not None:
            subject["venue_id"] = str(venue_id)
        operator_log.write(tx, operator=at.operator, action="pause", subject=subject, reason=reason)
    return pause_id


def lift(at: Desk, pause_id: UUID, *, reason: str) -> None:
    """End a pause now.

    Raises:
        RefusedError: no reason, or it was lifted before, or never was.
    """
    if not reason.strip():
        raise RefusedError("say why, in a few words")
    with at.db.ops_transaction() as tx:
        if not pauses.lift(tx, pause_id, by=at.operator):
            raise RefusedError(f"there is no pause {pause_id} that could be lifted")
        operator_log.write(tx, operator=at.operator, action="lift", subject={"pause_id": str(pause_id)}, reason=reason)


def place(held: Pause) -> str:
    return held.tenant if held.venue is None else f"{held.venue} of {held.tenant}"


def end(held: Pause) -> str:
    if held.lifted_at is not None:
        return f"lifted {held.lifted_at:%Y-%m-%d %H:%M:%S} by {held.lifted_by}"
    return f"{held.ends_at:%Y-%m-%d %H:%M:%S}" if held.ends_at else "it is lifted"
