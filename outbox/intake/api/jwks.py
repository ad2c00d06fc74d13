"""The token issuer's published keys (JWKS, RFC 7517), so that it can rotate them without a restart of this process.

Fetched with the first token, every few minutes, and when a token names an unknown key; the latter at most every 30 s,
or anybody could make us query the issuer with each request. While the issuer is unavailable, cached keys are valid for
an hour.
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
# A rotated key is known after this long at the latest; its tokens are rejected until then.
UNKNOWN_KEY_PAUSE_SECONDS = 30.0
HELD_WITHOUT_ISSUER_SECONDS = 3_600.0
# Requests wait for the one that fetches, so an unavailable issuer is not queried by each of them.
AWAY_PAUSE_SECONDS = 10.0


class IssuerAwayError(Exception):
    """The issuer's keys cannot be fetched and no cached key is valid, so the token cannot be checked."""


class PublishedKeys:
    """Keys by their `kid`. Several threads may ask at once; one fetches, and the others wait for it.

    Only RSA keys of SMALLEST_KEY_BITS or more are used; other published keys are ignored.
    """

    def __init__(self, url: str) -> None:
        self._client = PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._one_at_a_time = Lock()
        self._keys: dict[str, RSAPublicKey] = {}
        self._fetched = self._tried = float("-inf")

    def key_for(self, token: str) -> RSAPublicKey:
        """The key that the token's header names. May wait FETCH_SECONDS for the issuer.

        Raises:
            BadTokenError: the header is malformed or names an unknown key.
            IssuerAwayError: the keys cannot be fetched, and the cached ones are too old.
        """
        try:
            kid = str(jwt.get_unverified_header(token).get("kid"))
        except jwt.InvalidTokenError:
            raise BadTokenError("the token is not valid") from None
        with self._one_at_a_time:
            self._refresh_for(kid, time.monotonic())
            if time.monotonic() - self._fetched >= HELD_WITHOUT_ISSUER_SECONDS:
                raise IssuerAwayError("the token issuer's keys cannot be fetched")
            if (key := self._keys.get(kid)) is None:
                raise BadTokenError("the token is not valid")
            return key

    def _refresh_for(self, kid: str, now: float) -> None:
        """Fetch if the keys are old, or this one is unknown, unless the last fetch, or the last failed try, was moments
        ago.
        """
        pause = KEPT_SECONDS if kid in self._keys else UNKNOWN_KEY_PAUSE_SECONDS
        if now - self._fetched >= pause and now - self._tried >= AWAY_PAUSE_SECONDS:
            self._fetch(now)

    def fetch(self) -> int:
        """Fetch now; returns the number of valid keys.

        Raises:
            IssuerAwayError: the address returned no keys.
        """
        with self._one_at_a_time:
            self._fetch(time.monotonic())
        if not self._keys:
            raise IssuerAwayError("the address returned no RSA key for signatures")
        return len(self._keys)

    def _fetch(self, now: float) -> None:
        self._tried = now
        try:
            published = self._client.get_signing_keys(refresh=True)
        except (PyJWKClientError, PyJWKSetError, ValueError, OSError) as error:
            logger.warning("token issuer keys not fetched, {} cached keys remain: {}", len(self._keys), error)
            return
        self._keys = {key.key_id: key.key for key in published if key.key_id and _may_sign(key.key)}
        self._fetched = now


def _may_sign(key: object) -> bool:
    return isinstance(key, RSAPublicKey) and key.key_size >= SMALLEST_KEY_BITS
