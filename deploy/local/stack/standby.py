"""A second PostgreSQL beside the first, which follows it; for walking through a failover on one machine.

It is made by the same script that makes a real one (deploy/backup/standby.sh), and promoted as one.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psycopg

from deploy.local.stack.postgres import Postgres, programs, unprivileged
from deploy.local.stack.server import ServerFailedError

SCRIPTS = Path(__file__).resolve().parents[2] / "backup"


class Standby(Postgres):
    """Follows `primary`; after `promote` it is one itself. Roles and passwords are the primary's, as all else."""

    def __init__(self, primary: Postgres, name: str = "standby") -> None:
        self.name = name
        super().__init__(primary.stack_directory, primary.memory)
        self._primary = primary

    def promote(self) -> None:
        """Returns when it takes writes."""
        run([programs() / "pg_ctl", "promote", "-D", self.data, "-w"])

    def _create_cluster(self) -> None:
        script("standby.sh", self.data, self.name, primary=self._primary)


def make_synchronous(primary: Postgres, *names: str) -> None:
    """From now on no commit returns before a standby of one of these names has it; without any, none is waited for."""
    with psycopg.connect(primary.superuser_url("postgres"), autocommit=True) as superuser:
        quoted = ", ".join(f'"{name}"' for name in names)
        superuser.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{quoted}'")
        superuser.execute("SELECT pg_reload_conf()")


def rejoin(old: Postgres, new: Postgres) -> Standby:
    """The old primary, which must be down, as a standby of the new one; start it."""
    script("rejoin.sh", old.data, old.name, primary=new)
    return Standby(new, old.name)


def script(name: str, *arguments: object, primary: Postgres) -> None:
    environment = {"PRIMARY_URL": primary.superuser_url("postgres"), "PG_BIN": str(programs())}
    run([SCRIPTS / name, *arguments], environment)


def run(command: list[object], environment: dict[str, str] | None = None) -> None:
    words = [*unprivileged(), *(str(word) for word in command)]
    made = subprocess.run(
        words, env={**os.environ, **(environment or {})}, cwd="/", capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise ServerFailedError(f"{command[0]}: {made.stderr.strip() or made.stdout.strip()}")
