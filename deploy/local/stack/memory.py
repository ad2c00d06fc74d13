"""What the one-machine stack remembers between runs: its ports and its passwords, in its own directory.

Ports are chosen free once and kept, so that an address noted down yesterday is right today; one that another program
has taken meanwhile is chosen anew. Passwords are random, made at the first start, in a file only its owner can read.
"""

from __future__ import annotations

import json
import random
import secrets
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

# Below 32768, where Linux begins to hand out ports for outgoing connections: none of those can take ours by chance.
PORTS = range(20_000, 32_000)
PORT_TRIES = 200


class Memory:
    """Two small JSON files, `ports.json` and `secrets.json`, written as a whole and never half."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._one_at_a_time = threading.Lock()  # the servers start side by side and all ask here

    def port(self, name: str) -> int:
        """The port of this name: remembered, or a free one chosen now."""
        with self._one_at_a_time:
            ports = self._read("ports")
            if name not in ports:
                ports[name] = free_port(taken=ports.values())
                self._write("ports", ports)
            return int(ports[name])

    def forget_taken_ports(self) -> None:
        """Before a start, while nothing of ours runs: a port somebody else listens on is chosen anew."""
        with self._one_at_a_time:
            ports = self._read("ports")
            self._write("ports", {name: port for name, port in ports.items() if is_free(int(port))})

    def secret(self, name: str, prefix: str = "") -> str:
        """The secret of this name: remembered, or 192 random bits made now."""
        with self._one_at_a_time:
            known = self._read("secrets")
            if name not in known:
                known[name] = prefix + secrets.token_hex(24)
                self._write("secrets", known)
            return str(known[name])

    def _read(self, name: str) -> dict[str, str | int]:
        path = self.directory / f"{name}.json"
        if not path.exists():
            return {}
        content: dict[str, str | int] = json.loads(path.read_text())
        return content

    def _write(self, name: str, content: dict[str, str | int]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        fresh = self.directory / f"{name}.json.new"
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(content, indent=2))
        fresh.replace(self.directory / f"{name}.json")


def free_port(taken: Iterable[str | int]) -> int:
    """A random port of our range on which nothing listens; random, so that two stacks starting at once differ."""
    avoided = {int(port) for port in taken}
    for candidate in random.sample(PORTS, PORT_TRIES):
        if candidate not in avoided and is_free(candidate):
            return candidate
    raise RuntimeError(f"no free port found between {PORTS.start} and {PORTS.stop} on 127.0.0.1")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closing connection is no owner
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
