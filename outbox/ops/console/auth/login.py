"""The login form of the one-machine stack: users and hashed passwords from a file, tokens signed with a local key.

Its routes exist only when APP_ENV=local; elsewhere users authenticate with a token of the company's identity provider.
Passwords are hashed with scrypt (RFC 7914). An unknown name costs the same time as a wrong password.
"""

import hmac
import secrets
from dataclasses import dataclass
from hashlib import scrypt
from pathlib import Path

import orjson

from outbox.ops.console.auth.tokens import OperatorRole
from outbox.ops.console.settings import ConsoleSettings
from outbox.web.bearer_tokens import read_private_key, sign

# A working day; then the user has to log in again.
SESSION_SECONDS = 8 * 3600
_SALT_BYTES = 16
# 16 MiB and about 50 ms a try (OWASP's minimum for scrypt with p=5 on small machines).
_COST = {"n": 2**14, "r": 8, "p": 5}


@dataclass(frozen=True, slots=True)
class User:
    """One entry of the users file. `password` is `salt$hash` (scrypt), both hexadecimal; never the password itself."""

    name: str
    roles: tuple[OperatorRole, ...]
    password: str


def hashed(password: str) -> str:
    """`salt$hash` of a password with a new random salt, for the users file; about 50 ms."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"{salt.hex()}${_hash(password, salt).hex()}"


def read_users(file: Path) -> dict[str, User]:
    """The users in a users file: `{"name": {"roles": ["reader"], "password": "salt$hash"}}`.

    Raises:
        ValueError: the file cannot be read or has another format.
    """
    try:
        content = orjson.loads(file.read_bytes())
        people = {
            name: User(name, tuple(map(OperatorRole, each["roles"])), each["password"])
            for name, each in content.items()
        }
        for user in people.values():
            _parts(user.password)
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{file} is not a valid users file ({type(error).__name__}); `fleet up` creates one") from None
    return people


class Login:
    """Checks passwords against the users file and signs tokens. The file is read once: a changed one needs a restart.

    Attempts are not limited, because the form exists on a development machine only.
    """

    def __init__(self, users: dict[str, User], settings: ConsoleSettings) -> None:
        assert settings.console_signing_key_file is not None, "ConsoleSettings requires it when APP_ENV=local"
        self._users = users
        self._key = read_private_key(settings.console_signing_key_file)
        self._issuer = settings.console_jwt_issuer
        self._audience = settings.console_jwt_audience
        self._nobody = hashed(secrets.token_hex(16))

    def token_for(self, name: str, password: str) -> str | None:
        """A token for SESSION_SECONDS; None when the name or the password is wrong, which the caller cannot
        tell apart.
        """
        user = self._users.get(name)
        salt, expected = _parts(user.password if user else self._nobody)
        fits = hmac.compare_digest(_hash(password, salt), expected)
        return self._sign(user) if user is not None and fits else None

    def _sign(self, user: User) -> str:
        claims = {"sub": user.name, "roles": [role.value for role in user.roles]}
        return sign(claims, self._key, issuer=self._issuer, audience=self._audience, seconds=SESSION_SECONDS)


def _hash(password: str, salt: bytes) -> bytes:
    return scrypt(password.encode(), salt=salt, **_COST)


def _parts(stored: str) -> tuple[bytes, bytes]:
    salt, _, digest = stored.partition("$")
    return bytes.fromhex(salt), bytes.fromhex(digest)
