"""What the API needs on one machine: a key pair for its tokens. `fleet --local api token` signs with it."""

from __future__ import annotations

from pathlib import Path

from deploy.local.stack.key_pair import KeyPair
from deploy.local.stack.memory import Memory


class Api:
    """Files in `directory`/api."""

    def __init__(self, directory: Path, memory: Memory) -> None:
        self._memory = memory
        self._keys = KeyPair(directory / "api")

    def environment(self) -> dict[str, str]:
        return {
            "API_JWT_ISSUER": f"http://127.0.0.1:{self._memory.port('intake_http')}/local",  # the `fleet` command
            "API_JWT_AUDIENCE": "fleet-api",
            "API_JWT_PUBLIC_KEY_FILE": str(self._keys.public_file),
            "API_SIGNING_KEY_FILE": str(self._keys.private_file),
        }

    def make_files(self) -> None:
        self._keys.make()
