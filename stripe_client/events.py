"""Stripe's own list of events: 30 days back, newest first (docs.stripe.com/api/events/list)."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from messages.ids import StripeEventId
from stripe_client.event_snapshots import UnreadableEventError, VerifiedEvent, read
from stripe_client.gateway import Gateway
from stripe_client.requests import pages

KEPT_DAYS = 30
# Stripe takes at most so many types in one question.
_TYPES_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class UnreadableListedEvent:
    """An event of the list that is not as it should be."""

    event_id: StripeEventId
    why: str


def list_events(
    gateway: Gateway, types: Collection[str], *, since_epoch: int, before_epoch: int
) -> Iterator[list[VerifiedEvent | UnreadableListedEvent]]:
    """The events of these types created in [since, before), page by page, each page fetched when it is asked for.

    Raises:
        Verdict: Stripe did not answer.
    """
    strs = sorted(types)
    for start in range(0, len(strs), _TYPES_AT_ONCE):
        params = {
            "types": strs[start : start + _TYPES_AT_ONCE],
            "created": {"gte": since_epoch, "lt": before_epoch},
        }
        for page in pages(gateway, "events", "/v1/events", params):
            yield [_read(body) for body in page]


def _read(body: dict[str, object]) -> VerifiedEvent | UnreadableListedEvent:
    try:
        return read(body)
    except UnreadableEventError as error:
        return UnreadableListedEvent(str(body.get("id")), str(error))
