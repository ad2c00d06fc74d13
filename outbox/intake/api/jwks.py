"""Keys that a token issuer publishes (JWKS, RFC 7517), so that it can roll them without a restart of ours.

Fetched when the first token comes, again every few minutes, and when a token names a key we have not seen: that at most
once in a while, or anybody could make us knock at the issuer's door with every request. While the issuer is away the
keys fetched last keep holding for an hour.
"""

import time
from threading import Lock

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWKClient
from jwt.exceptions import PyJWKClientError, PyJWKSetError
from loguru import logger

from outbox.web.bearer_tokens import SMALLEST_KEY_BITS, BadTokenError

FETCH_SECONDS = 3.0
KEPT_SECONDS = 300.0
# A rolled key is seen after this long at the latest; what does not hold is refused meanwhile.
UNKNOWN_KEY_PAUSE_SECONDS = 30.0
HELD_WITHOUT_ISSUER_SECONDS = 3_600.0
# Everybody waits for the one who fetches, so an issuer that is away is not asked by each request.
AWAY_PAUSE_SECONDS = 10.0


class IssuerAwayError(Exception):
    """The issuer's keys cannot be fetched, and none are left that hold; nothing is known about the token."""


class PublishedKeys:
    """Keys by their `kid`. Several threads may ask at once; one fetches."""

    def __init__(self, url: str) -> None:
        self._client = PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._one_at_a_time = Lock()
        self._keys: dict[str, RSAPublicKey] = {}
        self._fetched = self._tried = float("-inf")

    def key_for(self, token: str) -> RSAPublicKey:
        """Raises BadTokenError for a key nobody publishes, IssuerAwayError when nobody can be asked."""
        try:
            kid = str(jwt.get_unverified_header(token).get("kid"))
        except jwt.InvalidTokenError:
            raise BadTokenError("this token does not hold here") from None
        with self._one_at_a_time:
            self._refresh_for(kid, time.monotonic())
            if time.monotonic() - self._fetched >= HELD_WITHOUT_ISSUER_SECONDS:
                raise IssuerAwayError("the token issuer's keys cannot be fetched")
            if (key := self._keys.get(kid)) is None:
                raise BadTokenError("this token does not hold here")
            return key

    def _refresh_for(self, kid: str, now: float) -> None:
        """Fetch when the keys are old, or this one is unknown and we have not just looked."""
        pause = KEPT_SECONDS if kid in self._keys else UNKNOWN_KEY_PAUSE_SECONDS
        if now - self._fetched >= pause and now - self._tried >= AWAY_PAUSE_SECONDS:
            self._fetch(now)

    def fetch(self) -> int:
        """Fetch now; returns how many keys hold.

        Raises:
            IssuerAwayError: the address does not answer with keys.
        """
        with self._one_at_a_time:
            self._fetch(time.monotonic())
        if not self._keys:
            raise IssuerAwayError("the address answers with no RSA key that may sign")
        return len(self._keys)

    def _fetch(self, now: float) -> None:
        self._tried = now
        try:
            published = self._client.get_signing_keys(refresh=True)
        except (PyJWKClientError, PyJWKSetError, ValueError, OSError) as error:
            logger.warning("keys of the token issuer not fetched, {} still hold: {}", len(self._keys), error)
            return
        self._keys = {key.key_id: key.key for key in published if key.key_id and _may_sign(key.key)}
        self._fetched = now


def _may_sign(key: object) -> bool:
    return isinstance(key, RSAPublicKey) and key.key_size >= SMALLEST_KEY_BITS
