"""CSRF: a form must carry what only a page of ours, shown to this very person in this very browser, can know.

A random value lies in a cookie (HttpOnly, SameSite=Strict); each form carries its HMAC with the person's name. A
foreign page can read neither, and another host cannot plant a cookie under the `__Host-` prefix. There is no server
secret, so any number of consoles agree. Sec-Fetch-Site is a second lock.
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
    def __init__(self, gatekeeper: Authenticator) -> None:
        self._gatekeeper = gatekeeper

    def seed_of(self, request: Request) -> str | None:
        """The browser's random value; None when it has none yet."""
        seed = request.cookies.get(self.cookie_name(request), "")
        return seed if len(seed) == _SEED_LENGTH else None

    def cookie_name(self, request: Request) -> str:
        return self._gatekeeper.cookie_name(_COOKIE, request)

    def holds(self, request: Request, name: str, token: str) -> bool:
        """True when the form came from a page of ours, shown to `name` (empty before the login)."""
        seed = self.seed_of(request)
        site = request.headers.get("sec-fetch-site", "same-origin")
        if seed is None or site not in {"same-origin", "none"}:
            return False
        return hmac.compare_digest(token_for(seed, name).encode(), token.encode())


def new_seed() -> str:
    return secrets.token_urlsafe(32)


def token_for(seed: str, name: str) -> str:
    return hmac.new(seed.encode(), name.encode(), sha256).hexdigest()
