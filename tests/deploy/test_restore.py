"""A backup is one that was restored: base backup and archived log, back to a moment, on a real server."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from db.ledger import hash_chain
from db.migrate import migrate
from db.session import Database
from db.settings import DatabaseSettings
from db.tenants import pauses
from deploy.local.stack.memory import Memory
from deploy.local.stack.ownership import Ownership
from deploy.local.stack.postgres import UNPRIVILEGED_USER, Postgres, programs
from tests import factories

SCRIPTS = Path(__file__).resolve().parents[2] / "deploy" / "backup"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    with Ownership(tmp_path):
        postgres = Postgres(tmp_path, Memory(tmp_path))
        postgres.start()
        yield postgres
        postgres.stop()


def run(script: str, *arguments: object, **environment: str) -> str:
    command = [SCRIPTS / script, *arguments]
    return subprocess.run(
        [str(word) for word in command], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_restore_to_a_moment_brings_back_what_stood_then(server: Postgres, tmp_path: Path) -> None:
    archive = tmp_path / "wal"
    archive.mkdir(mode=0o777)
    if os.geteuid() == 0:
        subprocess.run(["chown", UNPRIVILEGED_USER, archive], check=True)
    migrate(server.migration_url)
    with psycopg.connect(server.superuser_url(), autocommit=True) as superuser:
        superuser.execute("ALTER SYSTEM SET archive_mode = on")
        superuser.execute(f"ALTER SYSTEM SET archive_command = '{SCRIPTS}/archive-wal.sh %p %f {archive}'")
    server.restart()
    with psycopg.connect(server.migration_url, autocommit=True) as owner:
        tenant = factories.tenant(owner)
    db = Database(DatabaseSettings(app_env="test", database_url=server.url), application="test")
    before = factories.requested(db, tenant)

    base = Path(run("base-backup.sh", tmp_path, BACKUP_DATABASE_URL=server.superuser_url(), PG_BIN=str(programs())))
    after = factories.requested(db, tenant)
    time.sleep(0.05)
    with psycopg.connect(server.superuser_url(), autocommit=True) as superuser:
        moment = superuser.execute("SELECT clock_timestamp()").fetchone()
        superuser.execute("DROP TABLE outbox CASCADE")  # somebody did
        superuser.execute("SELECT pg_switch_wal()")
        until(superuser, archive)
    db.close()
    server.stop()

    assert moment is not None
    lost, restored = server.directory / "data", server.directory / "data.restored"
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", UNPRIVILEGED_USER, base], check=True)
    run("restore.sh", base, archive, restored, moment[0].isoformat())
    lost.rename(server.directory / "data.lost")
    restored.rename(lost)
    server.start()

    db = Database(DatabaseSettings(app_env="test", database_url=server.url), application="test")
    with pytest.raises(psycopg.OperationalError, match="database is away"), db.system_transaction():
        pass  # nobody is let in before everything is on hold: Stripe may have what the book has forgotten
    run("open-held.sh", "ada", DATABASE_SUPERUSER_URL=server.superuser_url(), PG_BIN=str(programs()))
    with db.system_transaction() as tx:
        assert [(each.tenant_id, each.what, each.paused_by) for each in pauses.in_force(tx)] == [
            (tenant.tenant_id, "all", "ada")
        ]
        found = {row[0] for row in tx.execute("SELECT payment_id FROM payments").fetchall()}
        assert found == {before.payment_id, after.payment_id}
        assert tx.execute("SELECT count(*) FROM outbox").fetchone() == (2,)
        assert hash_chain.walk(tx).broken is None
    db.close()


def until(superuser: psycopg.Connection, archive: Path) -> None:
    """Wait until the segment with the last commit is archived."""
    row = superuser.execute("SELECT pg_walfile_name(pg_current_wal_lsn() - 1)").fetchone()
    assert row is not None
    deadline = time.monotonic() + 30
    while not any(each.name >= row[0] for each in archive.iterdir() if "." not in each.name):
        assert time.monotonic() < deadline, "the segment was not archived"
        time.sleep(0.05)
