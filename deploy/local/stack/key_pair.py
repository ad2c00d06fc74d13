"""A pair of RSA keys for tokens, made at the first start of a machine and kept, readable by its owner only."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BITS = 3072


class KeyPair:
    """`public.pem` and `private.pem` in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.public_file = folder / "public.pem"
        self.private_file = folder / "private.pem"

    def make(self) -> None:
        """Unless it is there."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.public_file.exists():
            return
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write_privately(self.private_file, private)
        write_privately(self.public_file, public)  # last: its being there says that the pair is whole


def write_privately(file: Path, content: bytes) -> None:
    """The whole file or nothing, for its owner's eyes."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(file)
