"""Trouble told to a program: application/problem+json (RFC 9457), the same form at every door."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818  RFC 9457's own word
    """An answer that is not what was asked for. `detail` is a sentence that the asker can act on.

    `code` names this kind of problem for programs, as the last part of its `type`; without one the status says it all.
    `more` are further members of the document.
    """

    def __init__(
        self, status: int, detail: str, *, code: str = "", headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.document = {
            "type": f"urn:payment-fleet:problem:{code}" if code else "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            **more,
        }

    def response(self) -> Response:
        return Response(orjson.dumps(self.document), self.status, self.headers, MEDIA_TYPE)


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> Response:
    return Problem(status, detail, headers=headers).response()
