"""Is this tenant or venue paused? Asked before each handler, answered from memory nearly always.

The pauses in force are read every few seconds; mostly there are none, and a message costs nothing. A paused message is
a TryLater with the operator's reason, so it waits as a row and spends no try; when the pause is over, the sweep brings
the row forward. What was sent to Stripe already and has no answer yet is let through: leaving it open would not unsend
it.
"""

import threading
import time
from uuid import UUID
from weakref import WeakKeyDictionary

from db import stripe_calls
from db.payments import payments
from db.session import Database
from db.tenants import pauses
from db.tenants.pauses import Pause
from messages.base import Message
from messages.queues import HELD_BY_ANY_PAUSE, HELD_BY_FULL_PAUSE
from messages.verdicts import TryLater

READ_EVERY_SECONDS = 3.0
# A message comes back after half of the time that the pause has lasted: soon after a short one, and a long one is not
# a row a minute for each of ten thousand payments.
SOONEST_SECONDS, LATEST_SECONDS = 5.0, 300.0


class Paused(TryLater):
    """Waits for the end of a pause; the sweep finds such rows by this name, and brings them forward when it is over."""


# The longest wait: a TryLater takes up to a fifth more than it says (workers/runtime/retries.py).
LONGEST_WAIT_SECONDS = LATEST_SECONDS * 1.2


class _Board:
    """The pauses in force, as one process has read them last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._by_tenant: dict[UUID, list[Pause]] = {}

    def of(self, db: Database, tenant_id: UUID) -> list[Pause]:
        """The tenant's pauses, at most READ_EVERY_SECONDS old; one thread reads, and the others use what is known."""
        with self._lock:
            if is_due := time.monotonic() - self._read_at >= READ_EVERY_SECONDS:
                self._read_at = time.monotonic()  # the other threads go on with what is known
        if is_due:
            self._read(db)
        return self._by_tenant.get(tenant_id, [])

    def _read(self, db: Database) -> None:
        with db.system_transaction() as tx:
            found = pauses.in_force(tx)
        by_tenant: dict[UUID, list[Pause]] = {}
        for pause in found:
            by_tenant.setdefault(pause.tenant_id, []).append(pause)
        self._by_tenant = by_tenant


_boards: WeakKeyDictionary[Database, _Board] = WeakKeyDictionary()


def refuse_while_paused(db: Database, message: Message) -> None:
    """Return when the message may run.

    Raises:
        Paused: an operator holds it back.
    """
    if message.tenant_id is None or type(message) not in HELD_BY_FULL_PAUSE:
        return
    held = [pause for pause in _boards.setdefault(db, _Board()).of(db, message.tenant_id) if _holds(pause, message)]
    if held and (pause := _first_of_its_place(db, held, message)) is not None:
        place = f"tenant {pause.tenant}" if pause.venue is None else f"venue {pause.venue} of {pause.tenant}"
        reason = f"{place} is paused ({pause.what}) by {pause.paused_by}: {pause.reason}"
        raise Paused(reason, seconds=_until_next_look(pause))


def _holds(pause: Pause, message: Message) -> bool:
    return pause.what == "all" or type(message) in HELD_BY_ANY_PAUSE


def _first_of_its_place(db: Database, held: list[Pause], message: Message) -> Pause | None:
    """The first pause that names the tenant, or the payment's venue; None also when the call is under way already."""
    assert message.tenant_id is not None, "the caller has looked"
    subject = getattr(message, "refund_id", message.ordering_key)
    with db.transaction(message.tenant_id) as tx:
        payment = payments.get(tx, message.payment_id) if message.payment_id else None
        venue_id = payment.venue_id if payment else None
        placed = next((pause for pause in held if pause.venue_id in (None, venue_id)), None)
        return None if placed is None or stripe_calls.is_under_way(tx, subject) else placed


def _until_next_look(pause: Pause) -> float:
    soon = min(max(pause.age_seconds / 2, SOONEST_SECONDS), LATEST_SECONDS)
    return soon if pause.seconds_left is None else max(1.0, min(soon, pause.seconds_left))
