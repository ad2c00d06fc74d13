"""Verify and read Stripe's webhooks. Knows the signing secrets and nothing else: the public intake loads this module,
and so cannot even read the Stripe key.

Signature scheme: docs.stripe.com/webhooks (HMAC-SHA256 over "<t>.<raw body>", key = the whole whsec_ string).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import orjson
import stripe
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode

from messages.ids import StripeEventId
from messages.settings import FleetSettings

# Older signatures are refused as replays; Stripe's default, and never zero, which would switch the check off.
TOLERANCE_SECONDS = 300
# The end of the year 9998: a later moment fits neither Python's datetime nor PostgreSQL in every time zone.
LATEST_CREATED = 253_370_764_799


class WebhookSettings(FleetSettings):
    """Several secrets are valid at once while one is being rolled; separate them by commas."""

    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        description="the endpoint's signing secret whsec_..., or several separated by commas while one is rolled"
    )

    @field_validator("stripe_webhook_secrets", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _are_signing_secrets(self) -> Self:
        if not self.stripe_webhook_secrets:
            raise ValueError("STRIPE_WEBHOOK_SECRETS is empty: set the endpoint's whsec_ secret.")
        if any(not secret.get_secret_value().startswith("whsec_") for secret in self.stripe_webhook_secrets):
            raise ValueError("STRIPE_WEBHOOK_SECRETS: every secret starts with whsec_ (it is not the API key).")
        return self


class BadSignatureError(Exception):
    """Nothing in the request may be trusted."""


class UnreadableEventError(Exception):
    """Signed by Stripe, but not a snapshot event we can store."""


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """A signed event. `body` still holds personal data: redact it before it is stored."""

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


def verify(raw: bytes, signature: str | None, secrets: Sequence[SecretStr]) -> VerifiedEvent:
    """Check the signature over the raw bytes against each valid secret, then read the event.

    Raises:
        BadSignatureError: no secret made this signature, or it is older than five minutes.
        UnreadableEventError: the signed body is no snapshot event.
    """
    if not signature or not any(_signed_with(secret, raw, signature) for secret in secrets):
        raise BadSignatureError("the Stripe-Signature header does not match the body, or is too old")
    try:
        body = orjson.loads(raw)
        return _read(body, _Snapshot.model_validate(body))
    except orjson.JSONDecodeError:
        raise UnreadableEventError("no snapshot event of API v1: the body is no JSON") from None
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        what = place or "the body"
        raise UnreadableEventError(f"no snapshot event of API v1: {what} is not as it should be") from None


def _signed_with(secret: SecretStr, raw: bytes, signature: str) -> bool:
    try:
        return bool(
            stripe.WebhookSignature.verify_header(
                raw.decode("utf-8"), signature, secret.get_secret_value(), TOLERANCE_SECONDS
            )
        )
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    except TypeError:  # stripe-python cannot compare a signature that holds other characters than ASCII
        return False


def _read(body: dict[str, Any], event: _Snapshot) -> VerifiedEvent:
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
