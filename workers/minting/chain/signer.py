"""Who signs: a key in a file that only its owner can read, or anything else that can sign 32 bytes (a KMS, an HSM).

The key is read once, lives in the library's own object, and is never shown: not in a log, not in an error.
"""

import os
import stat
from pathlib import Path
from typing import Protocol

from coincurve import PrivateKey

from messages.token_ids import checksummed, keccak256

OTHERS = 0o077
# A platform mounts a secret as another user's file, which we may read by a group made for this pod alone.
OTHERS_OF_A_MOUNT = 0o037


class Signer(Protocol):
    """What the minter needs of a key."""

    @property
    def address(self) -> str: ...

    def sign(self, digest: bytes) -> tuple[int, int, int]:
        """(parity of y, r, s) of the recoverable secp256k1 signature over these 32 bytes, with s in the lower half."""
        ...


class KeyFileError(ValueError):
    """The key cannot be used; the sentence says what to do and shows nothing of it."""


class KeyFileSigner:
    """A raw private key as 64 hexadecimal digits in a file."""

    def __init__(self, path: Path) -> None:
        self._key = _read(path)
        public = self._key.public_key.format(compressed=False)
        self._address = checksummed("0x" + keccak256(public[1:])[-20:].hex())

    @property
    def address(self) -> str:
        return self._address

    def sign(self, digest: bytes) -> tuple[int, int, int]:
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")

    def __repr__(self) -> str:
        return f"KeyFileSigner({self._address})"


def _read(path: Path) -> PrivateKey:
    try:
        found = path.stat()
        text = path.read_text().strip()
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None
    if stat.S_IMODE(found.st_mode) & (OTHERS if found.st_uid == os.geteuid() else OTHERS_OF_A_MOUNT):
        raise KeyFileError(f"{path} may be read by others: chmod 600 it")
    try:
        return PrivateKey(bytes.fromhex(text.removeprefix("0x")))
    except ValueError:
        raise KeyFileError(f"{path} holds no private key: 64 hexadecimal digits are needed") from None
