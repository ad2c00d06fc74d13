"""The originals of dead letters, sealed: every process may seal one, only the one that replays may open it.

Sealed boxes of libsodium (X25519 and XSalsa20-Poly1305, https://doc.libsodium.org/public-key_cryptography/sealed_boxes).
`fleet keys` prints a fresh pair. Losing the private key loses the originals of letters sealed so far, not the letters.
"""

import base64
import binascii
from hashlib import sha256

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from pydantic import Field, SecretStr, field_validator

from messages.runtime.settings import FleetSettings


class SealSettings(FleetSettings):
    """For every process that writes dead letters: it can encrypt their originals and not decrypt them."""

    dead_letter_public_key: str = Field(
        description="the public key that encrypts the originals of dead letters; `fleet keys` prints a pair"
    )

    @field_validator("dead_letter_public_key")
    @classmethod
    def _a_key(cls, text: str) -> str:
        _key_bytes(text)
        return text


class OpenSettings(FleetSettings):
    """For the workers alone, which replay dead letters."""

    dead_letter_private_key: SecretStr = Field(
        description="the private key that decrypts them for a replay; `fleet keys` prints a pair"
    )

    @field_validator("dead_letter_private_key")
    @classmethod
    def _a_key(cls, text: SecretStr) -> SecretStr:
        _key_bytes(text.get_secret_value())
        return text


class UnopenableError(Exception):
    """The seal does not open: another key, or the bytes were changed."""


class Sealer:
    """Seals; cannot open."""

    def __init__(self, settings: SealSettings) -> None:
        self._box = SealedBox(PublicKey(_key_bytes(settings.dead_letter_public_key)))

    def seal(self, original: bytes) -> bytes:
        return bytes(self._box.encrypt(original))


class Opener:
    """Opens what was sealed with the public half."""

    def __init__(self, settings: OpenSettings) -> None:
        self._box = SealedBox(PrivateKey(_key_bytes(settings.dead_letter_private_key.get_secret_value())))

    def open(self, sealed: bytes) -> bytes:
        """The original bytes.

        Raises:
            UnopenableError: sealed for another key, or changed since.
        """
        try:
            return bytes(self._box.decrypt(sealed))
        except CryptoError:
            raise UnopenableError("the original cannot be opened with DEAD_LETTER_PRIVATE_KEY") from None


def new_pair() -> tuple[str, str]:
    """A fresh pair, as the settings take it: public, private."""
    return _as_text(PrivateKey.generate())


def pair_from_seed(seed: str) -> tuple[str, str]:
    """The same pair for the same seed: for a machine that remembers one secret instead of two keys."""
    return _as_text(PrivateKey.from_seed(sha256(seed.encode()).digest()))


def _as_text(key: PrivateKey) -> tuple[str, str]:
    return base64.b64encode(bytes(key.public_key)).decode(), base64.b64encode(bytes(key)).decode()


def _key_bytes(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise ValueError("this is no key: 32 bytes in base64, as `fleet keys` prints them")
    return raw
