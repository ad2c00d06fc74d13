"""The OpenAPI 3.1 document of the API, made of the table of operations and the models (https://spec.openapis.org/oas/v3.1.1).

Served at GET /openapi.json, and written to deploy/docs/openapi.json by `make docs`; a test compares the two.
"""

import json
from http import HTTPStatus
from inspect import getdoc
from typing import Any

from pydantic.json_schema import models_json_schema

from outbox.intake.api import callers, examples, request_body
from outbox.intake.api import schemas as words
from outbox.intake.api.callers import GRANTED, CallerRole
from outbox.intake.api.operations import OPERATIONS, Operation

Document = dict[str, Any]

# What each operation may answer besides its own; those of a POST come on top.
_ALWAYS = (401, 403, 429, 500, 503)
_OF_A_POST = (400, 408, 409, 413, 415, 422)
_PROBLEMS = {
    400: "No Idempotency-Key, or a malformed one, or a body that is no JSON.",
    401: "No token, or one that does not hold.",
    403: "The token holds, and does not permit this.",
    404: "There is no such payment or group, for this caller.",
    408: "The body did not come in time.",
    409: "A request with this key is being worked on, or the book holds something that contradicts this one.",
    413: f"The body is larger than {request_body.LARGEST_BODY_BYTES} bytes.",
    415: "The body is not application/json.",
    422: "The body breaks a rule (see `errors`), the key was used for another request, or the business says no.",
    429: "The caller's window is full; `Retry-After` says when it has room again.",
    500: "It failed here; nothing was kept under the key.",
    501: "Not built yet; nothing was done, and nothing is kept under the key.",
    503: "The database or the token issuer is away, or too many requests wait; repeat it with the same key.",
}
_HEADERS = {
    "RateLimit-Limit": "requests in a window of a minute",
    "RateLimit-Remaining": "how many are left in the window with least room",
    "RateLimit-Reset": "seconds until that window has room again",
}


def text() -> str:
    """The document as it is served and written."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> Document:
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Payment fleet",
            "version": "1.0.0",
            "summary": "Payments of a ticketing marketplace",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [
            {"name": "payments", "description": "For buyers, venue staff, finance and services"},
            {"name": "groups", "description": "Orders that several buyers pay in shares"},
            {"name": "internal", "description": "For trusted services with a scope"},
        ],
        "paths": {each.path: {each.method.lower(): _operation(each)} for each in OPERATIONS},
        "components": {
            "schemas": _schemas(),
            "headers": {name: _whole_number(said) for name, said in _HEADERS.items()},
            "responses": {str(status): _problem(status) for status in _PROBLEMS},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": _claims()}
            },
        },
    }


_DESCRIPTION = """\
Thin: a request is written down in one transaction and answered; what it asks for is carried out by workers, and told by
`GET` and by events.

Every POST needs an `Idempotency-Key`, scoped to tenant and user. The same request again gets the same answer, with
`Idempotent-Replayed: true`; another request under the same key gets 422; while one is being worked on, 409. Answers are
kept for 24 hours, a client's errors for one hour, and a server's errors not at all. Not kept either are 401, 403, 408,
413, 415 and 429: they are about the caller, not about the request.

Amounts are whole minor units with a currency. Every error is `application/problem+json` (RFC 9457)."""


def _claims() -> str:
    """The claims as callers.py tells them: the second paragraph on of its docstring."""
    return "An RS256 JWT with `iss`, `aud`, `exp`, `iat` and these claims:\n\n" + (
        (callers.__doc__ or "").partition("\n\n")[2].strip()
    )


def _operation(operation: Operation) -> Document:
    described: Document = {
        "operationId": operation.name,
        "tags": [_tag(operation.path)],
        "summary": operation.summary,
        "description": f"{getdoc(operation.work) or operation.summary}\n\n{_who_may(operation)}",
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


def _who_may(operation: Operation) -> str:
    roles = [role.value for role, granted in GRANTED.items() if operation.permission in granted]
    people = f"Roles {', '.join(roles)}; or {CallerRole.SERVICE.value}" if roles else f"Role {CallerRole.SERVICE.value}"
    return f"{people} with the scope `{operation.permission.value}`."


def _responses(operation: Operation) -> Document:
    own: Document = {"description": operation.summary, "headers": _header_references(*_HEADERS)}
    media_type = "application/json" if operation.status < 400 else "application/problem+json"
    own["content"] = _content(operation.answers.__name__, examples.ANSWERS[operation.name], media_type)
    if operation.reads is not None:
        own["headers"]["Idempotent-Replayed"] = {"schema": {"const": "true"}, "description": "this was answered before"}
    if operation.name in {"createPayment", "openGroup", "payShare", "topUpGroup"}:
        own["headers"]["Location"] = {"schema": {"type": "string"}, "description": "where it is shown"}
    others = {*_ALWAYS, *operation.problems, *(_OF_A_POST if operation.reads is not None else ())} - {operation.status}
    references = {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(others)}
    return {str(operation.status): own, **references}


def _problem(status: int) -> Document:
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _PROBLEMS[status],
    }
    described: Document = {"description": _PROBLEMS[status]}
    described["content"] = _content(words.ProblemDocument.__name__, example, "application/problem+json")
    if status in {429, 503}:
        described["headers"] = {"Retry-After": _whole_number("seconds to wait")}
    if status in {401, 403}:
        described["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "RFC 6750"}}
    return described


def _content(schema: str, example: Any, media_type: str = "application/json") -> Document:
    return {
        media_type: {
            "schema": {"$ref": f"#/components/schemas/{schema}"},
            "examples": {"typical": {"value": example}},
        }
    }


def _header_references(*names: str) -> Document:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _whole_number(said: str) -> Document:
    return {"description": said, "schema": {"type": "integer", "minimum": 0}}


def _id_in_path(name: str) -> Document:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}


def _idempotency_key(operation: Operation) -> Document:
    """The example is one of this operation: under one key there is one request."""
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "Any text of your own, new for each new request; printable ASCII without spaces.",
        "schema": {"type": "string", "pattern": f"^[!-~]{{1,{request_body.LONGEST_KEY}}}$"},
        "example": f"{operation.name}-5b1f0a52-6d0f-4bd5-9d40-5f2c1f6d4a33",
    }


def _schemas() -> Document:
    models = {each.answers for each in OPERATIONS} | {each.reads for each in OPERATIONS if each.reads is not None}
    ordered = sorted(models | {words.ProblemDocument}, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "validation") for model in ordered], ref_template="#/components/schemas/{model}"
    )
    definitions: Document = schemas["$defs"]
    return definitions
