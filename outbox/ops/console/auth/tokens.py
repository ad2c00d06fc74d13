"""Who is at the console: an RS256 JWT (outbox/web/bearer_tokens.py), from `Authorization: Bearer` or from the browser's
cookie.

Its subject is the name that the operator log will carry. The claim `roles` says what that person may do.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from starlette.requests import Request

from messages.runtime.settings import AppEnv, is_loopback_host
from outbox.ops.console.settings import ConsoleSettings
from outbox.web.bearer_tokens import BadTokenError, EndedTokenError, OneKey, TokenChecker, bearer, name_in, words_in


class OperatorRole(StrEnum):
    """A reader sees; an operator previews, replays, discards, edits and cancels; an approver is the second person."""

    READER = "reader"
    OPERATOR = "operator"
    APPROVER = "approver"


class NotSignedInError(Exception):
    """No token, or one that does not hold; the sentence says which."""


@dataclass(frozen=True, slots=True)
class SignedInOperator:
    name: str
    roles: frozenset[OperatorRole]

    def may(self, role: OperatorRole) -> bool:
        """Whoever has any role may read."""
        return role in self.roles or (role is OperatorRole.READER and bool(self.roles))


class Authenticator:
    """Checks tokens. Knows the public key only; the pages cannot make a token."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._tokens = TokenChecker(
            OneKey(settings.console_jwt_public_key_file),
            issuer=settings.console_jwt_issuer,
            audience=settings.console_jwt_audience,
        )
        self._app_env = settings.app_env

    def person_of(self, request: Request) -> SignedInOperator:
        """Who sent this request.

        Raises:
            UnknownPersonError: no token, or a token that does not hold.
        """
        try:
            token = bearer(request.headers) or request.cookies.get(self.cookie_name("fleet_console", request))
        except BadTokenError as error:
            raise NotSignedInError(str(error)) from None
        if token is None:
            raise NotSignedInError("you are not logged in")
        return self.person_in(token)

    def person_in(self, token: str) -> SignedInOperator:
        try:
            return _person(self._tokens.claims_of(token))
        except EndedTokenError:
            raise NotSignedInError("your session has ended; log in again") from None
        except BadTokenError as error:
            raise NotSignedInError(str(error)) from None

    def is_secure(self, request: Request) -> bool:
        """True unless this is a machine talking to itself: then the cookies may travel without TLS."""
        near = self._app_env in (AppEnv.LOCAL, AppEnv.TEST) and is_loopback_host(request.url.hostname or "-")
        return not near

    def cookie_name(self, name: str, request: Request) -> str:
        """`__Host-` makes the browser insist on Secure, Path=/ and no Domain: no other host can plant one."""
        return f"__Host-{name}" if self.is_secure(request) else name


def _person(claims: dict[str, Any]) -> SignedInOperator:
    strs = {role.value for role in OperatorRole}
    return SignedInOperator(
        name_in(claims), frozenset(OperatorRole(word) for word in words_in(claims, "roles") if word in strs)
    )
