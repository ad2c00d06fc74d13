"""Errors as application/problem+json (RFC 9457), the same form for the API, the webhook endpoint and the console.

Codes and titles are in problem_codes.py; this module only writes the document.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from outbox.web.problem_codes import ProblemCode

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818  RFC 9457's own word
    """An error response. `detail` is a sentence that the caller can act on; it must not quote secrets or card data.

    A ProblemCode brings status, title and `type`; a bare status has its standard phrase as title and the type
    `about:blank` (RFC 9457, section 4.2.1). `members` are extension members of the document, and replace standard ones
    of the same name. `headers` are added to the response, such as Retry-After.
    """

    def __init__(
        self, kind: ProblemCode | int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        if isinstance(kind, ProblemCode):
            self.status, title, uri = kind.status, kind.value.title, f"urn:payment-fleet:problem:{kind.code}"
        else:
            self.status, title, uri = kind, HTTPStatus(kind).phrase, "about:blank"
        self.document = {"type": uri, "title": title, "status": self.status, "detail": detail, **members}

    def response(self) -> Response:
        """The response, with the status in the document and in the status line."""
        return Response(orjson.dumps(self.document), self.status, self.headers, MEDIA_TYPE)


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """A response for an error without a code of its own (`about:blank`), where nothing is raised."""
    return Problem(status, detail, headers=headers).response()
