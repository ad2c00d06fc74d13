"""Who is at the console: an RS256 JWT, from `Authorization: Bearer` or from the browser's cookie.

Only RS256 is accepted (a token cannot choose its own algorithm), with our issuer, our audience, an expiry that has not
passed, and a subject: the name that the operator log will carry. The claim `roles` says what that person may do.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt
from starlette.requests import Request

from messages.settings import AppEnv, is_loopback_host
from outbox.ops.console.settings import ConsoleSettings, read_public_key

ALGORITHM = "RS256"
# Clocks of two machines differ by seconds, not by minutes.
LEEWAY_SECONDS = 30
# A name is shown on every page and written to the log for ever.
LONGEST_NAME = 120


class Role(StrEnum):
    """A reader sees; an operator previews, replays, discards, edits and cancels; an approver is the second person."""

    READER = "reader"
    OPERATOR = "operator"
    APPROVER = "approver"


class UnknownPersonError(Exception):
    """No token, or one that does not hold; the sentence says which."""


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    roles: frozenset[Role]

    def may(self, role: Role) -> bool:
        """Whoever has any role may read."""
        return role in self.roles or (role is Role.READER and bool(self.roles))


class Gatekeeper:
    """Checks tokens. Knows the public key only; the pages cannot make a token."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._key = read_public_key(settings.console_jwt_public_key_file)
        self._issuer = settings.console_jwt_issuer
        self._audience = settings.console_jwt_audience
        self._app_env = settings.app_env

    def person_of(self, request: Request) -> Person:
        """Who sent this request.

        Raises:
            UnknownPersonError: no token, or a token that does not hold.
        """
        token = self._bearer(request) or request.cookies.get(self.cookie_name("fleet_console", request))
        if token is None:
            raise UnknownPersonError("you are not logged in")
        return self.person_in(token)

    def person_in(self, token: str) -> Person:
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise UnknownPersonError("your session has ended; log in again") from None
        except jwt.InvalidTokenError:
            raise UnknownPersonError("this token does not hold here") from None
        return _person(claims)

    def is_secure(self, request: Request) -> bool:
        """True unless this is a machine talking to itself: then the cookies may travel without TLS."""
        near = self._app_env in (AppEnv.LOCAL, AppEnv.TEST) and is_loopback_host(request.url.hostname or "-")
        return not near

    def cookie_name(self, name: str, request: Request) -> str:
        """`__Host-` makes the browser insist on Secure, Path=/ and no Domain: no other host can plant one."""
        return f"__Host-{name}" if self.is_secure(request) else name

    def _bearer(self, request: Request) -> str | None:
        header = request.headers.get("authorization")
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnknownPersonError("the Authorization header is no bearer token")
        return token.strip()


def _person(claims: dict[str, Any]) -> Person:
    name = str(claims["sub"]).strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UnknownPersonError("the token's subject is no name")
    given = claims.get("roles")
    known = {role.value for role in Role}
    roles = [Role(role) for role in given if isinstance(role, str) and role in known] if isinstance(given, list) else []
    return Person(name, frozenset(roles))
