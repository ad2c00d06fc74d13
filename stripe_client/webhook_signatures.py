"""Verify Stripe's webhooks. Knows the signing secrets and nothing else: the public intake loads this module, and so
cannot even read the Stripe key.

Signature scheme: docs.stripe.com/webhooks (HMAC-SHA256 over "<t>.<raw body>", key = the whole whsec_ string).
"""

from collections.abc import Sequence
from typing import Annotated, Self

import orjson
import stripe
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from messages.runtime.settings import FleetSettings
from stripe_client.event_snapshots import UnreadableEventError, VerifiedEvent, read

# Older signatures are refused as replays; Stripe's default, and never zero, which would switch the check off.
TOLERANCE_SECONDS = 300


class WebhookSettings(FleetSettings):
    """Secrets that sign webhooks: one for the platform's endpoint and one for that of connected accounts."""

    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        description="signing secrets whsec_... of the webhook endpoints, with commas; more while one is rotated"
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


def verify(raw: bytes, signature: str | None, secrets: Sequence[SecretStr]) -> VerifiedEvent:
    """Check the signature over the raw bytes against each valid secret, then read the event.

    Raises:
        BadSignatureError: no secret made this signature, or it is older than five minutes.
        UnreadableEventError: the signed body is no snapshot event.
    """
    if not signature or not any(_signed_with(secret, raw, signature) for secret in secrets):
        raise BadSignatureError("the Stripe-Signature header does not match the body, or is too old")
    try:
        return read(orjson.loads(raw))
    except orjson.JSONDecodeError:
        raise UnreadableEventError("no snapshot event of API v1: the body is no JSON") from None


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
