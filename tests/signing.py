"""Stripe's webhooks as Stripe would send them: event bodies and their signature headers."""

import hmac
import json
import time
from hashlib import sha256
from typing import Any
from uuid import uuid4

SECRET = "whsec_tests_first"
ROLLED_SECRET = "whsec_tests_second"


def event(event_type: str = "payment_intent.succeeded", **changes: Any) -> dict[str, Any]:
    """A snapshot event about an intent; `object` replaces fields of the intent."""
    intent = {"id": f"pi_{uuid4().hex}", "object": "payment_intent", "metadata": {}} | changes.pop("object", {})
    return {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "livemode": False,
        "type": event_type,
        "data": {"object": intent},
    } | changes


def raw(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def header(raw_body: bytes, *secrets: str, age_seconds: int = 0) -> str:
    """`t=...,v1=...`, one v1 per secret."""
    at = int(time.time()) - age_seconds
    signed = f"{at}.".encode() + raw_body
    signatures = [hmac.new(secret.encode(), signed, sha256).hexdigest() for secret in secrets or (SECRET,)]
    return ",".join([f"t={at}", *(f"v1={signature}" for signature in signatures)])
