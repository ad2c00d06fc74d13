"""Authentication: an RS256 JWT (outbox/web/bearer_tokens.py), from `Authorization: Bearer` or from the browser's
cookie.

Its subject is the name written to the operator log. The claim `roles` lists what the user may do.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from starlette.requests import Request

from messages.runtime.settings import AppEnv, is_loopback_host
from outbox.ops.console.settings import ConsoleSettings
from outbox.web.bearer_tokens import BadTokenError, EndedTokenError, OneKey, TokenChecker, bearer, name_in, words_in


class OperatorRole(StrEnum):
    """A reader sees every page; an operator also acts (replay, discard, edit, refund, pause); an approver approves
    other operators' requests.
    """

    READER = "reader"
    OPERATOR = "operator"
    APPROVER = "approver"


class NotSignedInError(Exception):
    """There is no token, or it is invalid; the message says which."""


@dataclass(frozen=True, slots=True)
class SignedInOperator:
    """The user of a request. `name` is the token's subject, as the operator log records it; without roles, it may do
    nothing.
    """

    name: str
    roles: frozenset[OperatorRole]

    def may(self, role: OperatorRole) -> bool:
        """True with this role; reading is included in any role, but acting is not included in approving."""
        return role in self.roles or (role is OperatorRole.READER and bool(self.roles))


class Authenticator:
    """Checks tokens. It holds the public key only, so the console cannot issue a token. Stateless: threads share it."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._tokens = TokenChecker(
            OneKey(settings.console_jwt_public_key_file),
            issuer=settings.console_jwt_issuer,
            audience=settings.console_jwt_audience,
        )
        self._app_env = settings.app_env

    def user_of(self, request: Request) -> SignedInOperator:
        """The user who sent this request.

        Raises:
            NotSignedInError: no token, or an invalid one.
        """
        try:
            token = bearer(request.headers) or request.cookies.get(self.cookie_name("fleet_console", request))
        except BadTokenError as error:
            raise NotSignedInError(str(error)) from None
        if token is None:
            raise NotSignedInError("not logged in")
        return self.user_in(token)

    def user_in(self, token: str) -> SignedInOperator:
        """The user of this token.

        Raises:
            NotSignedInError: it has expired or is invalid.
        """
        try:
            return _user(self._tokens.claims_of(token))
        except EndedTokenError:
            raise NotSignedInError("your session has ended; log in again") from None
        except BadTokenError as error:
            raise NotSignedInError(str(error)) from None

    def is_secure(self, request: Request) -> bool:
        """True unless the request is local (loopback, in development): then cookies may be sent without TLS."""
        is_local = self._app_env in (AppEnv.LOCAL, AppEnv.TEST) and is_loopback_host(request.url.hostname or "-")
        return not is_local

    def cookie_name(self, name: str, request: Request) -> str:
        """`__Host-` makes the browser insist on Secure, Path=/ and no Domain: no other host can set one."""
        return f"__Host-{name}" if self.is_secure(request) else name


def _user(claims: dict[str, Any]) -> SignedInOperator:
    known_roles = {role.value for role in OperatorRole}
    return SignedInOperator(
        name_in(claims), frozenset(OperatorRole(word) for word in words_in(claims, "roles") if word in known_roles)
    )
