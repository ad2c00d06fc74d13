"""Reads and validates a request: a JSON body of bounded size, within a bounded time, and its Idempotency-Key."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from messages.base import WireModel
from messages.queues import LARGEST_ORDER_BYTES
from outbox.web.problem_codes import ProblemCode
from outbox.web.problem_details import Problem

LARGEST_BODY_BYTES = LARGEST_ORDER_BYTES
# Enough for a body of that size on a slow line; a slower client would hold a connection for nothing.
BODY_SECONDS = 10.0
LONGEST_KEY = 200
MOST_FIELDS_REPORTED = 50


async def body_of(request: Request) -> bytes:
    """The raw body.

    Raises:
        Problem: 413, it is too large; 408, it was not received in time.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = bytearray()
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > LARGEST_BODY_BYTES:
                    raise Problem(413, f"the body exceeds {LARGEST_BODY_BYTES} bytes", headers={"Connection": "close"})
    except (TimeoutError, ClientDisconnect):
        detail = f"the body was not received within {BODY_SECONDS:.0f} s"
        raise Problem(408, detail, headers={"Connection": "close"}) from None
    return bytes(raw)


def key_in(headers: Mapping[str, str]) -> str:
    """The `Idempotency-Key`, as it was sent; it is compared byte by byte.

    Raises:
        Problem: 400, it is missing or malformed.
    """
    key = headers.get("idempotency-key", "")
    if not key:
        detail = "every POST needs an Idempotency-Key header: a unique string for each new request"
        raise Problem(ProblemCode.IDEMPOTENCY_KEY_MISSING, detail)
    if len(key) > LONGEST_KEY or not all("!" <= character <= "~" for character in key):
        detail = f"an Idempotency-Key is at most {LONGEST_KEY} printable ASCII characters, without spaces"
        raise Problem(ProblemCode.IDEMPOTENCY_KEY_MALFORMED, detail)
    return key


def json_in(raw: bytes, content_type: str) -> Any:
    """The body as a JSON value; an empty one is an empty object.

    Raises:
        Problem: 415, another media type; 400, malformed JSON.
    """
    if not raw:
        return {}
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "the body must be application/json", headers={"Accept": "application/json"})
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Problem(ProblemCode.MALFORMED_JSON, "the body is not valid JSON") from None


def read_as(model: type[WireModel], value: Any) -> WireModel:
    """The body, validated against its schema.

    Raises:
        Problem: 422 with each invalid field, and never with its value.
    """
    try:
        return model.model_validate_json(orjson.dumps(value))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)[:MOST_FIELDS_REPORTED]
        errors = [{"pointer": _pointer(detail["loc"]), "detail": detail["msg"]} for detail in details]
        raise Problem(ProblemCode.BODY_INVALID, "the body violates its schema; see errors", errors=errors) from None


def _pointer(place: tuple[int | str, ...]) -> str:
    """RFC 6901, as a URI fragment: `#/amount/minor`."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
