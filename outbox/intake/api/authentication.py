"""Who may come in: the token, what it permits, and how often its caller has come within the last minute."""

from collections.abc import Mapping

from outbox.intake.api.callers import Caller, Permission, caller_in
from outbox.intake.api.jwks import IssuerAwayError, PublishedKeys
from outbox.intake.api.rate_limits import Limit, RateLimits
from outbox.intake.api.settings import ApiSettings
from outbox.web.bearer_tokens import BadTokenError, OneKey, TokenChecker, bearer
from outbox.web.problem_details import Problem

REALM = 'Bearer realm="payment-fleet"'


class Authenticator:
    def __init__(self, settings: ApiSettings, limits: RateLimits) -> None:
        self._limits = limits
        self._tokens = TokenChecker(
            _keys_of(settings), issuer=settings.api_jwt_issuer, audience=settings.api_jwt_audience
        )

    def let_in(
        self, headers: Mapping[str, str], permission: Permission, own: Limit | None
    ) -> tuple[Caller, dict[str, str]]:
        """The caller, and headers that tell how much room is left in its windows.

        Raises:
            Problem: 401, 403, 429; 503 while the token issuer's keys cannot be had.
        """
        caller = self._caller(headers)
        room = self._limits.spend(caller, own)
        if not caller.may(permission):
            challenge = f'{REALM}, error="insufficient_scope", scope="{permission.value}"'
            said = f"this token may not do this: it needs a role or a scope with {permission.value}"
            raise Problem(403, said, code="permission", headers={"WWW-Authenticate": challenge} | room)
        return caller, room

    def _caller(self, headers: Mapping[str, str]) -> Caller:
        try:
            token = bearer(headers)
            if token is None:
                raise Problem(401, "send a token as Authorization: Bearer", headers={"WWW-Authenticate": REALM})
            return caller_in(self._tokens.claims_of(token))
        except BadTokenError as error:
            challenge = f'{REALM}, error="invalid_token"'
            raise Problem(401, str(error), code="token", headers={"WWW-Authenticate": challenge}) from None
        except IssuerAwayError as error:
            raise Problem(503, str(error), code="issuer-away", headers={"Retry-After": "10"}) from None


def _keys_of(settings: ApiSettings) -> OneKey | PublishedKeys:
    if settings.api_jwt_public_key_file is not None:
        return OneKey(settings.api_jwt_public_key_file)
    assert settings.api_jwks_url is not None, "the settings ask for one of the two"
    return PublishedKeys(settings.api_jwks_url)
