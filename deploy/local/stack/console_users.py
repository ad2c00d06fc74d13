"""What the console needs on one machine: a key pair for its tokens, and three people with random passwords.

Made at the first start and kept, each file readable by its owner only. The passwords are remembered with the other
secrets of the directory; the users file holds only their hashes.
"""

from __future__ import annotations

from pathlib import Path

import orjson

from deploy.local.stack.key_pair import KeyPair, write_privately
from deploy.local.stack.memory import Memory
from outbox.ops.console.auth.login import hashed
from outbox.ops.console.auth.tokens import OperatorRole


class Console:
    """Files in `directory`/console; people are named after their role."""

    def __init__(self, directory: Path, memory: Memory) -> None:
        self._folder = directory / "console"
        self._keys = KeyPair(self._folder)
        self._memory = memory

    def environment(self) -> dict[str, str]:
        port = self._memory.port("console")
        return {
            "CONSOLE_HOST": "127.0.0.1",
            "CONSOLE_PORT": str(port),
            "CONSOLE_JWT_ISSUER": f"http://127.0.0.1:{port}",  # its own login form
            "CONSOLE_JWT_AUDIENCE": "fleet-console",
            "CONSOLE_JWT_PUBLIC_KEY_FILE": str(self._keys.public_file),
            "CONSOLE_SIGNING_KEY_FILE": str(self._keys.private_file),
            "CONSOLE_USERS_FILE": str(self._folder / "users.json"),
        }

    def logins(self) -> dict[str, str]:
        """Name and password of everybody."""
        return {role.value: self._memory.secret(f"console_{role.value}") for role in OperatorRole}

    def make_files(self) -> None:
        """Whatever is missing; what is there stays."""
        self._keys.make()
        if not (self._folder / "users.json").exists():
            people = {name: {"roles": [name], "password": hashed(word)} for name, word in self.logins().items()}
            write_privately(self._folder / "users.json", orjson.dumps(people, option=orjson.OPT_INDENT_2))
