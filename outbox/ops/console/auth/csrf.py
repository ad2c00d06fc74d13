"""CSRF protection: a double-submit token, bound to the user and the browser.

A random seed is kept in a cookie (HttpOnly, SameSite=Strict); each form carries the HMAC of the user's name under that
seed. Another origin can read neither, and another host cannot set a cookie with the `__Host-` prefix. There is no
server secret, so any number of console instances work together. Sec-Fetch-Site is checked as a second line of defence.
"""

import hmac
import secrets
from hashlib import sha256

from starlette.requests import Request

from outbox.ops.console.auth.tokens import Authenticator

FIELD = "csrf_token"
HEADER = "x-csrf-token"
_COOKIE = "fleet_csrf"
_SEED_LENGTH = 43  # of token_urlsafe(32)


class CsrfProtection:
    """Checks the token of a form against the seed in the browser's cookie. It holds no state and no secret."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def seed_of(self, request: Request) -> str | None:
        """The seed in the browser's cookie; None when there is none yet, or it has another length than ours."""
        seed = request.cookies.get(self.cookie_name(request), "")
        return seed if len(seed) == _SEED_LENGTH else None

    def cookie_name(self, request: Request) -> str:
        """With the prefix `__Host-` where cookies are sent by TLS only."""
        return self._authenticator.cookie_name(_COOKIE, request)

    def is_valid(self, request: Request, name: str, token: str) -> bool:
        """True when the console rendered the form for the user `name` (empty before the login) in this browser.

        A request that the browser marks as sent from another site is rejected, even with a valid token. Compared in
        constant time.
        """
        seed = self.seed_of(request)
        site = request.headers.get("sec-fetch-site", "same-origin")
        if seed is None or site not in {"same-origin", "none"}:
            return False
        return hmac.compare_digest(token_for(seed, name).encode(), token.encode())


def new_seed() -> str:
    """A seed for a browser that has none: 256 random bits, 43 characters."""
    return secrets.token_urlsafe(32)


def token_for(seed: str, name: str) -> str:
    """The token of all forms for this user in this browser: HMAC-SHA-256, 64 hexadecimal digits."""
    return hmac.new(seed.encode(), name.encode(), sha256).hexdigest()
