"""For whom Stripe is asked, and how urgently: said by workers/runtime/actor.py, read by
stripe_client/rate_limit/limiter.py.

Neither imports the other, and no function on the way has to pass it along (as with messages/runtime/trace.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from messages.ids import TenantId


class Urgency(StrEnum):
    """Who goes first when there is not enough for everybody."""

    FIRST = "first"  # money on its way back or about to be lost: refunds, cancellations, captures
    NORMAL = "normal"
    LAST = "last"  # nobody waits for it: what compares and counts


@dataclass(frozen=True, slots=True)
class Requester:
    """`tenant_id` is None for work of the whole platform, which shares like one more tenant."""

    tenant_id: TenantId | None = None
    urgency: Urgency = Urgency.NORMAL


PLATFORM = Requester()
_current: ContextVar[Requester] = ContextVar("asker", default=PLATFORM)


def current() -> Requester:
    return _current.get()


@contextmanager
def asking_for(tenant_id: TenantId | None, urgency: Urgency) -> Iterator[None]:
    """Every call to Stripe inside is counted for this tenant."""
    token = _current.set(Requester(tenant_id, urgency))
    try:
        yield
    finally:
        _current.reset(token)
