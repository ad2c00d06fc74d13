"""Read an event of Stripe whose sender is proven: it was signed (stripe_client/webhook_signatures.py), or we fetched it
with our own key (stripe_client/events.py). Both roads lead here, so that both understand an event alike. Knows no
secret.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from messages.ids import StripeEventId

# The end of the year 9998: a later moment fits neither Python's datetime nor PostgreSQL in every time zone.
LATEST_CREATED = 253_370_764_799


class UnreadableEventError(Exception):
    """Stripe's, but not a snapshot event we can store."""


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """An event that is surely Stripe's. `body` still holds personal data: redact it before it is stored."""

    event_id: str
    event_type: str
    created: int
    api_version: str | None
    livemode: bool
    account: str | None
    object_id: str | None
    metadata: dict[str, str]
    body: dict[str, Any]


class _Object(BaseModel):
    """What every object of Stripe has, or may lack."""

    id: str | None = None
    metadata: dict[str, Any] | None = None


class _Data(BaseModel):
    object: _Object


class _Snapshot(BaseModel):
    """The fields of a snapshot event that we read (docs.stripe.com/api/events/object); a thin event lacks `data`."""

    id: StripeEventId
    type: Annotated[str, Field(min_length=1, max_length=200)]
    created: Annotated[int, Field(strict=True, ge=0, le=LATEST_CREATED)]
    api_version: str | None = None
    livemode: Annotated[bool, Field(strict=True)]
    account: str | None = None
    data: _Data


def read(body: Any) -> VerifiedEvent:
    """The event in a body that was JSON.

    Raises:
        UnreadableEventError: it is no snapshot event of API v1.
    """
    try:
        event = _Snapshot.model_validate(body)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        what = place or "the body"
        raise UnreadableEventError(f"no snapshot event of API v1: {what} is not as it should be") from None
    subject = event.data.object
    return VerifiedEvent(
        event_id=event.id,
        event_type=event.type,
        created=event.created,
        api_version=event.api_version,
        livemode=event.livemode,
        account=event.account,
        object_id=subject.id,
        metadata={key: str(value) for key, value in (subject.metadata or {}).items()},
        body=body,
    )
