"""What the console needs on one machine: a key pair for its tokens, and three people with random passwords.

Made at the first start and kept, each file readable by its owner only. The passwords are remembered with the other
secrets of the directory; the users file holds only their hashes.
"""

from __future__ import annotations

from pathlib import Path

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deploy.local.memory import Memory
from outbox.ops.console.auth import Role
from outbox.ops.console.login import hashed

KEY_BITS = 3072


class Console:
    """Files in `directory`/console; people are named after their role."""

    def __init__(self, directory: Path, memory: Memory) -> None:
        self._folder = directory / "console"
        self._memory = memory

    def environment(self) -> dict[str, str]:
        port = self._memory.port("console")
        return {
            "CONSOLE_HOST": "127.0.0.1",
            "CONSOLE_PORT": str(port),
            "CONSOLE_JWT_ISSUER": f"http://127.0.0.1:{port}",  # its own login form
            "CONSOLE_JWT_AUDIENCE": "fleet-console",
            "CONSOLE_JWT_PUBLIC_KEY_FILE": str(self._folder / "public.pem"),
            "CONSOLE_SIGNING_KEY_FILE": str(self._folder / "private.pem"),
            "CONSOLE_USERS_FILE": str(self._folder / "users.json"),
        }

    def logins(self) -> dict[str, str]:
        """Name and password of everybody."""
        return {role.value: self._memory.secret(f"console_{role.value}") for role in Role}

    def make_files(self) -> None:
        """Whatever is missing; what is there stays."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self._folder / "public.pem").exists():
            self._make_pair()
        if not (self._folder / "users.json").exists():
            people = {name: {"roles": [name], "password": hashed(word)} for name, word in self.logins().items()}
            self._write("users.json", orjson.dumps(people, option=orjson.OPT_INDENT_2))

    def _make_pair(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._write("private.pem", private)
        self._write("public.pem", public)  # last: its being there says that the pair is whole

    def _write(self, name: str, content: bytes) -> None:
        fresh = self._folder / f"{name}.new"
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_bytes(content)
        fresh.replace(self._folder / name)
