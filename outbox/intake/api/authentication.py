"""Authentication, authorization and rate limiting of API requests."""

from collections.abc import Mapping

from outbox.intake.api.callers import Caller, Permission, caller_in
from outbox.intake.api.jwks import IssuerAwayError, PublishedKeys
from outbox.intake.api.rate_limits import Limit, RateLimits
from outbox.intake.api.settings import ApiSettings
from outbox.web.bearer_tokens import BadTokenError, OneKey, TokenChecker, bearer
from outbox.web.problem_codes import ProblemCode
from outbox.web.problem_details import Problem

REALM = 'Bearer realm="payment-fleet"'


class Authenticator:
    """Who sends a request, and whether it may: token, rate limit, permission, in this order. Called from the API's
    threads.

    The limit is counted before the permission is checked, so that a caller without it cannot probe without limit.
    """

    def __init__(self, settings: ApiSettings, limits: RateLimits) -> None:
        self._limits = limits
        self._tokens = TokenChecker(
            _keys_of(settings), issuer=settings.api_jwt_issuer, audience=settings.api_jwt_audience
        )

    def authorize(
        self, headers: Mapping[str, str], permission: Permission, own: Limit | None
    ) -> tuple[Caller, dict[str, str]]:
        """The caller, and the RateLimit headers of the response.

        `own` is the operation's own limit beside the one for all requests; None where it has none. Which venues and
        buyers the caller may access is decided later, by the operation (Caller.reaches).

        Raises:
            Problem: 401, 403, 429; 503 while the token issuer's keys cannot be fetched. 401 and 403 carry
                WWW-Authenticate (RFC 6750, section 3).
        """
        caller = self._caller(headers)
        rate_limit = self._limits.spend(caller, own)
        if not caller.may(permission):
            challenge = f'{REALM}, error="insufficient_scope", scope="{permission.value}"'
            detail = f"the token needs a role or a scope that grants {permission.value}"
            raise Problem(
                ProblemCode.INSUFFICIENT_PERMISSIONS, detail, headers={"WWW-Authenticate": challenge} | rate_limit
            )
        return caller, rate_limit

    def _caller(self, headers: Mapping[str, str]) -> Caller:
        try:
            token = bearer(headers)
            if token is None:
                raise Problem(
                    401, "send a token in the header Authorization: Bearer", headers={"WWW-Authenticate": REALM}
                )
            return caller_in(self._tokens.claims_of(token))
        except BadTokenError as error:
            challenge = f'{REALM}, error="invalid_token"'
            raise Problem(ProblemCode.INVALID_TOKEN, str(error), headers={"WWW-Authenticate": challenge}) from None
        except IssuerAwayError as error:
            raise Problem(ProblemCode.TOKEN_ISSUER_UNAVAILABLE, str(error), headers={"Retry-After": "10"}) from None


def _keys_of(settings: ApiSettings) -> OneKey | PublishedKeys:
    if settings.api_jwt_public_key_file is not None:
        return OneKey(settings.api_jwt_public_key_file)
    assert settings.api_jwks_url is not None, "the settings ask for one of the two"
    return PublishedKeys(settings.api_jwks_url)
