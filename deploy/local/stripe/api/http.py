"""One request read from ASGI, one answer sent back, also in the broken manners that faults ask for."""

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import API_VERSION, PLATFORM, VERSION
from ..wire.errors import Json, StripeError, invalid, unauthenticated
from ..wire.forms import decode

if TYPE_CHECKING:
    from .interference import Interference

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TRANSPORT = "emulator.transport"  # where the server puts the connection, so that a fault can cut it
_PROXY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_TEST_KEYS = ("sk_test_", "rk_test_")


@dataclass(slots=True)
class Answer:
    """A status, a body of bytes and headers beside the usual ones."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Request:
    """One request; `account` is the platform's unless `Stripe-Account` names another."""

    method: str
    path: str
    query: bytes
    body: bytes
    headers: dict[bytes, bytes]
    id: str = ""
    account: str = PLATFORM
    fingerprint: str = ""

    @property
    def idempotency_key(self) -> str | None:
        """Of a POST; other methods have none, as at Stripe."""
        key = self.headers.get(b"idempotency-key") if self.method == "POST" else None
        return key.decode("latin-1") if key else None

    def authenticate(self) -> None:
        """Test keys only: a live key here would mean that somebody's configuration is dangerously wrong."""
        if not self._secret_key().startswith(_TEST_KEYS):
            raise unauthenticated("Invalid API Key provided. The emulator takes only sk_test_ and rk_test_ keys.")
        account = self.headers.get(b"stripe-account")
        if account:
            self.account = account.decode("latin-1")
            if not self.account.startswith("acct_"):
                message = f"The provided key does not have access to account '{self.account}'."
                raise StripeError(403, "invalid_request_error", message, code="account_invalid")
        key = self.idempotency_key
        if key is not None and len(key) > 255:
            raise invalid("Idempotency keys have at most 255 characters.")

    def _secret_key(self) -> str:
        scheme, _, credentials = self.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() == "bearer":
            return credentials.strip()
        if scheme.lower() == "basic":
            try:
                return b64decode(credentials).decode("latin-1").partition(":")[0]
            except ValueError:
                return ""
        return ""

    def check_version(self) -> None:
        """Refuse (400) a `Stripe-Version` other than the one this emulator has."""
        version = self.headers.get(b"stripe-version", API_VERSION.encode())
        if version != API_VERSION.encode():
            message = f"The emulator serves only API version {API_VERSION}; it does not guess other shapes."
            raise invalid(message, code="emulator_api_version")

    def parameters(self) -> Json:
        """The form of the body (POST) or of the query (other methods), nested as its names say, all values strings."""
        if self.method == "POST":
            if self.query:
                raise invalid("The emulator reads parameters of a POST only from its body.")
            return decode(self.body)
        return decode(self.query)


class TornError(Exception):
    """The sender is gone before its request was whole."""


async def read_request(scope: Scope, receive: Receive) -> Request:
    """The whole request.

    Raises:
        TornError: only a part of it came, which must never be taken for all of it.
    """
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise TornError
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return Request(scope["method"], scope["path"], scope["query_string"], body, dict(scope["headers"]))


@dataclass(slots=True)
class Wire:
    """The connection of one request, as ASGI gives it and, for faults, below ASGI."""

    scope: Scope
    receive: Receive
    send: Send

    async def cut(self, *, flush: bool) -> None:
        """End the connection, and wait until the server has noticed, so that it does not answer by itself."""
        transport = self.scope[TRANSPORT]
        if flush:
            transport.close()
        else:
            transport.abort()
        await self.receive()


async def send_answer(wire: Wire, request: Request, answer: Answer, interference: "Interference") -> None:
    """Send the answer in the manner of the faults: whole, cut off, late, as HTML, or not at all."""
    manner, send = interference.manner, wire.send
    if interference.drop_before or manner == "drop_after":
        await wire.cut(flush=False)
        return
    if manner == "non_json_body":
        answer = Answer(interference.proxy_status, _PROXY_PAGE)
    headers = _headers(request, answer)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if manner == "truncate_body":
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        await wire.cut(flush=True)
        return
    if manner == "slow_body":
        await asyncio.sleep(interference.body_seconds)
    await send({"type": "http.response.body", "body": answer.body})


def _headers(request: Request, answer: Answer) -> list[tuple[bytes, bytes]]:
    content_type = b"text/html" if answer.body is _PROXY_PAGE else b"application/json"
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-stripe-emulator", VERSION.encode()),
        (b"stripe-version", API_VERSION.encode()),
    ]
    if request.id:
        headers.append((b"request-id", request.id.encode()))
    key = request.headers.get(b"idempotency-key")
    if key and request.method == "POST":
        headers.append((b"idempotency-key", key))
    if request.account != PLATFORM:
        headers.append((b"stripe-account", request.account.encode()))
    headers.extend((name.lower().encode(), value.encode()) for name, value in answer.headers.items())
    return headers
