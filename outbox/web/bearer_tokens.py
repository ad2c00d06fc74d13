"""RS256 tokens (RFC 7519) of console users and API callers.

Only RS256 is accepted (a token cannot choose its own algorithm), with the expected issuer and audience, an expiry in
the future, and a subject. Signing exists only for APP_ENV=local: the login form, and tokens to try the API. What a role
or scope permits is decided elsewhere: here a token is valid or not.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

ALGORITHM = "RS256"
# Clocks of two machines differ by seconds, not by minutes.
LEEWAY_SECONDS = 30
# NIST SP 800-131A: RSA keys below this many bits no longer sign anything.
SMALLEST_KEY_BITS = 2048
# A name is shown on pages and written to logs for ever.
LONGEST_NAME = 120


class BadTokenError(Exception):
    """A missing or invalid token; the message never tells a forger which check failed."""


class EndedTokenError(BadTokenError):
    """The token was valid and has expired."""


class KeySource(Protocol):
    """A source of public keys; called from the thread of each request."""

    def key_for(self, token: str) -> RSAPublicKey:
        """The key that must have signed this token. The token is not verified yet: only its header may be read.

        Raises:
            BadTokenError: the token names a key that is not trusted.
        """
        ...


class OneKey:
    """The key in a file, read once at start; a rotated key needs a restart.

    Raises (on construction):
        ValueError: as `read_public_key`.
    """

    def __init__(self, file: Path) -> None:
        self._key = read_public_key(file)

    def key_for(self, token: str) -> RSAPublicKey:
        """The one key, whatever the token names."""
        return self._key


class TokenChecker:
    """Checks tokens with public keys only, so it cannot sign one. Stateless: all threads may share one."""

    def __init__(self, keys: KeySource, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    def claims_of(self, token: str) -> dict[str, Any]:
        """The claims of a valid token, times as seconds since 1970; clocks may differ by LEEWAY_SECONDS.

        Raises:
            EndedTokenError: it has expired.
            BadTokenError: it is invalid for any other reason.
        """
        try:
            return jwt.decode(
                token,
                self._keys.key_for(token),
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise EndedTokenError("the token has expired") from None
        except jwt.InvalidTokenError:
            raise BadTokenError("the token is not valid") from None


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of `Authorization: Bearer` (RFC 6750), or None without that header.

    Raises:
        BadTokenError: the header does not contain a bearer token.
    """
    header = headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise BadTokenError("the Authorization header is not a bearer token")
    return token.strip()


def name_in(claims: Mapping[str, Any]) -> str:
    """The subject, as it is recorded.

    Raises:
        BadTokenError: it is empty, too long or not printable.
    """
    name = str(claims["sub"]).strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadTokenError("the token's subject is empty, too long or not printable")
    return name


def words_in(claims: Mapping[str, Any], name: str) -> list[str]:
    """A claim that is a list of strings; anything else is an empty list."""
    given = claims.get(name)
    return [word for word in given if isinstance(word, str)] if isinstance(given, list) else []


def sign(claims: Mapping[str, Any], key: RSAPrivateKey, *, issuer: str, audience: str, seconds: int) -> str:
    """A token with these claims that is valid for `seconds` from now. Its `iss`, `aud`, `iat` and `exp` replace given
    ones.
    """
    now = int(time.time())
    times = {"iss": issuer, "aud": audience, "iat": now, "exp": now + seconds}
    return jwt.encode({**claims, **times}, key, algorithm=ALGORITHM)


def read_public_key(file: Path) -> RSAPublicKey:
    """The key that tokens are checked with.

    Raises:
        ValueError: no such file, no PEM of an RSA public key, or one that is too short.
    """
    try:
        key = load_pem_public_key(_content(file))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{file} holds no PEM public key (-----BEGIN PUBLIC KEY-----)") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < SMALLEST_KEY_BITS:
        raise ValueError(f"{file} must hold an RSA key of {SMALLEST_KEY_BITS} bits or more: tokens are RS256")
    return key


def read_private_key(file: Path) -> RSAPrivateKey:
    """The key that a machine of APP_ENV=local signs with.

    Raises:
        ValueError: no such file, or no PEM of an RSA private key.
    """
    try:
        key = load_pem_private_key(_content(file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{file} holds no PEM private key") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{file} must hold an RSA key: tokens are RS256")  # noqa: TRY004  pydantic wants ValueError
    return key


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
