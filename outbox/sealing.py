"""Encryption of the originals of dead letters: every process may encrypt one, only the one that replays may decrypt it.

Sealed boxes of libsodium (X25519 and XSalsa20-Poly1305,
https://doc.libsodium.org/public-key_cryptography/sealed_boxes). `fleet keys` prints a fresh pair. Losing the private
key loses the originals sealed so far, not the dead letters: their redacted payload stays readable, but a replay needs
the original. Changing the pair does not re-encrypt what is stored.
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
    """The sealed original cannot be decrypted: it was sealed for another key, or its bytes were changed."""


class Sealer:
    """Encrypts with the public key; cannot decrypt. Stateless after construction, so several threads may share one."""

    def __init__(self, settings: SealSettings) -> None:
        self._box = SealedBox(PublicKey(_key_bytes(settings.dead_letter_public_key)))

    def seal(self, original: bytes) -> bytes:
        """The sealed box of these bytes, 48 bytes longer. Not deterministic: sealing the same bytes twice gives two
        results.
        """
        return bytes(self._box.encrypt(original))


class Opener:
    """Decrypts what was sealed with the public half of its key."""

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
    """A fresh pair in the form of the settings, 32 bytes in base64 each: public key, private key."""
    return _as_text(PrivateKey.generate())


def pair_from_seed(seed: str) -> tuple[str, str]:
    """The same pair for the same seed, for a development machine that keeps one secret instead of two keys.

    Only as strong as the seed: it is hashed once (SHA-256), with no salt and no work factor.
    """
    return _as_text(PrivateKey.from_seed(sha256(seed.encode()).digest()))


def _as_text(key: PrivateKey) -> tuple[str, str]:
    return base64.b64encode(bytes(key.public_key)).decode(), base64.b64encode(bytes(key)).decode()


def _key_bytes(text: str) -> bytes:
    """The 32 bytes of a key.

    Raises:
        ValueError: it is not 32 bytes of base64; the settings classes turn that into their own error.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise ValueError("this is no key: 32 bytes in base64, as `fleet keys` prints them")
    return raw
