"""Security headers of every response, and errors: an HTML page for a browser, application/problem+json (RFC 9457) for a
program.

The Content-Security-Policy allows no inline script or style, so the pages load all of theirs from /static.
"""

from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outbox.web import problem_details

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # same-origin and not no-referrer: with no-referrer, browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
_HSTS = "max-age=31536000"
_KEPT_A_YEAR = "public, max-age=31536000, immutable"


class PageError(Exception):
    """An error shown to the user with this HTTP status; `detail` is a sentence they can act on."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail

    @property
    def title(self) -> str:
        """The standard phrase of the status, as the heading of the page."""
        return HTTPStatus(self.status).phrase


class SafeHeaders:
    """ASGI middleware: security headers on each response; pages are never cached, versioned assets for a year.

    `encrypted` adds Strict-Transport-Security; False on a development machine, where the console is served without TLS
    and browsers would remember the header for localhost.
    """

    def __init__(self, app: ASGIApp, *, encrypted: bool) -> None:
        self._app = app
        self._encrypted = encrypted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers(scope, message)]
            await send(message)

        await self._app(scope, receive, send_safely)

    def _headers(self, scope: Scope, message: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
        """The headers of one response. Only an asset that was found under a versioned address is cached, not
        its 404.
        """
        versioned = scope["path"].startswith("/static/") and scope["query_string"] and message["status"] in {200, 304}
        headers = _HEADERS | {"Cache-Control": _KEPT_A_YEAR if versioned else "no-store"}
        if self._encrypted:
            headers["Strict-Transport-Security"] = _HSTS
        return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def wants_json(request: Request) -> bool:
    """Browsers accept text/html; a client that accepts JSON but not HTML is a program."""
    accepted = request.headers.get("accept", "")
    return "json" in accepted and "text/html" not in accepted


def problem(error: PageError) -> Response:
    """The error for a program; 401 names the scheme to authenticate with (RFC 6750)."""
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return problem_details.problem(error.status, error.detail, headers=headers)
