"""The OpenAPI 3.1 document, built from the tables of operations, schemas and problem codes.

Format: https://spec.openapis.org/oas/v3.1.1.

Served at GET /openapi.json, and written to deploy/docs/openapi.json by `make docs`; a test compares the two.
"""

import json
from collections.abc import Sequence
from http import HTTPStatus
from inspect import getdoc
from typing import Any

from pydantic.json_schema import models_json_schema

from outbox.intake.api import callers, examples, request_body, schemas
from outbox.intake.api.callers import GRANTED, CallerRole
from outbox.intake.api.operations import OPERATIONS, Operation
from outbox.web.problem_codes import ProblemCode

Document = dict[str, Any]

# The error statuses of every operation; a POST has the others in addition.
_ALWAYS = (401, 403, 429, 500, 503)
_OF_A_POST = (400, 408, 409, 413, 415, 422)
_PROBLEMS = {
    400: "The Idempotency-Key is missing or malformed, or the body is not JSON.",
    401: "The token is missing or invalid.",
    403: "The token does not permit this request.",
    404: "The payment or group does not exist, or the caller may not access it.",
    408: "The body was not received in time.",
    409: "The request conflicts with the current state, or one with the same Idempotency-Key is in progress.",
    413: f"The body is larger than {request_body.LARGEST_BODY_BYTES} bytes.",
    415: "The body is not application/json.",
    422: "The request is invalid, or the Idempotency-Key was used for a different request.",
    429: "A rate limit is exceeded; retry after `Retry-After` seconds.",
    500: "Internal error; nothing was stored under the Idempotency-Key, so it may be retried.",
    501: "Not implemented; nothing was done, and nothing was stored under the Idempotency-Key.",
    503: "Temporarily unavailable; retry with the same Idempotency-Key after `Retry-After` seconds.",
}
_HEADERS = {
    "RateLimit-Limit": "Requests per minute that the strictest applicable limit allows.",
    "RateLimit-Remaining": "Requests left in the current window.",
    "RateLimit-Reset": "Seconds until the window resets.",
}


def text() -> str:
    """The document as it is served and written."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> Document:
    """The document as a dict. Texts come from docstrings: of each operation's function, of the request and response
    models, and of callers.py, so those are public text.
    """
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Payment fleet",
            "version": "1.0.0",
            "summary": "Payments for a ticketing marketplace",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [
            {"name": "payments", "description": "Payments, refunds, captures and fee quotes"},
            {"name": "groups", "description": "Group payments: orders that several buyers pay in shares"},
            {"name": "internal", "description": "For trusted services that have the required scope"},
        ],
        "paths": {each.path: {each.method.lower(): _operation(each)} for each in OPERATIONS},
        "components": {
            "schemas": _schemas(),
            "headers": {name: _whole_number(description) for name, description in _HEADERS.items()},
            "responses": {str(status): _problem(status) for status in _PROBLEMS},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": _claims()}
            },
        },
    }


_DESCRIPTION = """\
Requests are accepted in one database transaction and processed asynchronously by workers. Read the outcome with `GET`,
or subscribe to the published events (see the AsyncAPI document).

Every POST requires an `Idempotency-Key`, scoped to tenant and user. Repeating a request returns the same response, with
`Idempotent-Replayed: true`. A different request with the same key is answered with 422, and one that arrives while the
first is in progress with 409. Responses are stored for 24 hours and client errors for one hour. Server errors are not
stored, nor are 401, 403, 408, 413, 415 and 429, because they do not depend on the request itself.

Amounts are integers in minor units, with a currency. Every error is `application/problem+json` (RFC 9457); each error
response below lists its problem codes."""


def _claims() -> str:
    """The claims, from the docstring of callers.py after its first paragraph."""
    return "An RS256 JWT with `iss`, `aud`, `exp`, `iat` and these claims:\n\n" + (
        (callers.__doc__ or "").partition("\n\n")[2].rstrip()
    )


def _operation(operation: Operation) -> Document:
    """One operation; its description is the docstring of the function that does the work."""
    described: Document = {
        "operationId": operation.name,
        "tags": [_tag(operation.path)],
        "summary": operation.summary,
        "description": f"{getdoc(operation.work)}\n\n{_required_permission(operation)}",
        "parameters": [_id_in_path(name) for name in operation.names_in_path],
        "responses": _responses(operation),
    }
    if operation.reads is not None:
        described["parameters"].append(_idempotency_key(operation))
        described["requestBody"] = {
            "required": operation.needs_body,
            "content": _content(operation.reads.__name__, examples.REQUESTS[operation.name]),
        }
    return described


def _tag(path: str) -> str:
    first = path.split("/")[1]
    return first if first in {"internal", "groups"} else "payments"


def _required_permission(operation: Operation) -> str:
    roles = [role.value for role, granted in GRANTED.items() if operation.permission in granted]
    service = f"role {CallerRole.SERVICE.value} with the scope `{operation.permission.value}`"
    people = f"one of the roles {', '.join(roles)}" if len(roles) > 1 else f"the role {''.join(roles)}"
    return f"Requires {people}, or the {service}." if roles else f"Requires the {service}."


def _responses(operation: Operation) -> Document:
    """The successful response, then references to every error status the operation can have."""
    own: Document = {"description": getdoc(operation.answers), "headers": _header_references(*_HEADERS)}
    media_type = "application/json" if operation.status < 400 else "application/problem+json"
    own["content"] = _content(operation.answers.__name__, examples.ANSWERS[operation.name], media_type)
    if operation.reads is not None:
        own["headers"]["Idempotent-Replayed"] = {
            "schema": {"const": "true"},
            "description": "The stored response of an earlier request with this key.",
        }
    if operation.name in {"createPayment", "openGroup", "payShare", "topUpGroup"}:
        own["headers"]["Location"] = {
            "schema": {"type": "string"},
            "description": "The path of the created payment or group.",
        }
    others = {*_ALWAYS, *operation.problems, *(_OF_A_POST if operation.reads is not None else ())} - {operation.status}
    references = {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(others)}
    return {str(operation.status): own, **references}


def _problem(status: int) -> Document:
    """One error status, with its problem codes as a table and the first of them as the example."""
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _PROBLEMS[status],
    }
    if codes := [problem for problem in ProblemCode if problem.status == status]:
        example |= {"type": f"urn:payment-fleet:problem:{codes[0].code}", "title": codes[0].value.title}
        example["detail"] = codes[0].value.meaning
    described: Document = {"description": _PROBLEMS[status] + _table_of(codes)}
    described["content"] = _content(schemas.ProblemDocument.__name__, example, "application/problem+json")
    if status in {429, 503}:
        described["headers"] = {"Retry-After": _whole_number("Seconds to wait before a retry.")}
    if status in {401, 403}:
        described["headers"] = {
            "WWW-Authenticate": {"schema": {"type": "string"}, "description": "The reason, as in RFC 6750."}
        }
    return described


def _table_of(codes: Sequence[ProblemCode]) -> str:
    """Problem codes with their meanings, as a Markdown table below a description."""
    rows = "".join(f"\n| `{problem.code}` | {problem.value.meaning} |" for problem in codes)
    return f"\n\n| code | meaning |\n| --- | --- |{rows}" if codes else ""


def _content(schema: str, example: Any, media_type: str = "application/json") -> Document:
    return {
        media_type: {
            "schema": {"$ref": f"#/components/schemas/{schema}"},
            "examples": {"typical": {"value": example}},
        }
    }


def _header_references(*names: str) -> Document:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _whole_number(description: str) -> Document:
    return {"description": description, "schema": {"type": "integer", "minimum": 0}}


def _id_in_path(name: str) -> Document:
    subject = name.removesuffix("_id")
    schema = {"type": "string", "format": "uuid"}
    return {"name": name, "in": "path", "required": True, "description": f"The id of the {subject}.", "schema": schema}


def _idempotency_key(operation: Operation) -> Document:
    """The example is specific to the operation: a key belongs to one request."""
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "A unique string for each new request, in printable ASCII without spaces; a retry repeats it.",
        "schema": {"type": "string", "pattern": f"^[!-~]{{1,{request_body.LONGEST_KEY}}}$"},
        "example": f"{operation.name}-5b1f0a52-6d0f-4bd5-9d40-5f2c1f6d4a33",
    }


def _schemas() -> Document:
    """JSON Schemas (2020-12) of all models, generated by pydantic in one call, so that shared models have one
    definition.
    """
    models = {each.answers for each in OPERATIONS} | {each.reads for each in OPERATIONS if each.reads is not None}
    ordered = sorted(models | {schemas.ProblemDocument}, key=lambda model: model.__name__)
    _, generated = models_json_schema(
        [(model, "validation") for model in ordered], ref_template="#/components/schemas/{model}"
    )
    definitions: Document = generated["$defs"]
    return definitions
