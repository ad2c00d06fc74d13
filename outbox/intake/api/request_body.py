"""What a request says, read with limits: a body of bounded size within a bounded time, JSON, and by its model."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from messages.base import WireModel
from messages.queues import LARGEST_ORDER_BYTES
from outbox.web.problem_details import Problem

LARGEST_BODY_BYTES = LARGEST_ORDER_BYTES
# A body of that size on a slow line; who needs longer holds a connection for nothing.
BODY_SECONDS = 10.0
LONGEST_KEY = 200
MOST_FIELDS_TOLD = 50


async def body_of(request: Request) -> bytes:
    """The raw body.

    Raises:
        Problem: 413 when it is too large, 408 when it does not come in time.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = bytearray()
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > LARGEST_BODY_BYTES:
                    raise Problem(
                        413, f"a body has at most {LARGEST_BODY_BYTES} bytes", headers={"Connection": "close"}
                    )
    except (TimeoutError, ClientDisconnect):
        said = f"the body did not come within {BODY_SECONDS:.0f} s"
        raise Problem(408, said, headers={"Connection": "close"}) from None
    return bytes(raw)


def key_in(headers: Mapping[str, str]) -> str:
    """The `Idempotency-Key`.

    Raises:
        Problem: 400, it is missing or has a form we do not take.
    """
    key = headers.get("idempotency-key", "")
    if not key:
        said = "every POST needs the header Idempotency-Key: any text of your own, new for each new request"
        raise Problem(400, said, code="idempotency-key-missing")
    if len(key) > LONGEST_KEY or not all("!" <= letter <= "~" for letter in key):
        said = f"an Idempotency-Key has at most {LONGEST_KEY} printable ASCII characters and no spaces"
        raise Problem(400, said, code="idempotency-key-malformed")
    return key


def json_in(raw: bytes, content_type: str) -> Any:
    """The body as a JSON value; an empty one is an empty object.

    Raises:
        Problem: 415 for another media type, 400 for bytes that are no JSON.
    """
    if not raw:
        return {}
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "a body is application/json", headers={"Accept": "application/json"})
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Problem(400, "the body is no JSON", code="body-unreadable") from None


def read_as(model: type[WireModel], value: Any) -> WireModel:
    """The body by its model.

    Raises:
        Problem: 422 with each field that breaks a rule, and never with what it said.
    """
    try:
        return model.model_validate_json(orjson.dumps(value))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)[:MOST_FIELDS_TOLD]
        errors = [{"pointer": _pointer(detail["loc"]), "detail": detail["msg"]} for detail in details]
        raise Problem(422, "the body breaks its rules", code="body-invalid", errors=errors) from None


def _pointer(place: tuple[int | str, ...]) -> str:
    """RFC 6901, as a URI fragment: `#/amount/minor`."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
