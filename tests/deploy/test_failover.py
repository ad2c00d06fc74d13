"""The primary dies in the midst of a sale, its synchronous standby is promoted, and the fleet goes on by itself.

Two real servers and every process of the fleet, with one address that names both servers. The standby is made, and the
old primary made a standby, by the scripts that deploy/runbooks/database.md names.
"""

import copy
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from db.ledger import hash_chain
from db.migrate import migrate
from db.settings import DatabaseSettings
from deploy.local.stack.memory import Memory
from deploy.local.stack.ownership import Ownership
from deploy.local.stack.postgres import DATABASE, Postgres
from deploy.local.stack.stack import Stack
from deploy.local.stack.standby import Standby, make_synchronous, rejoin
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean

IMPATIENT = {"SWEEP_AFTER_SECONDS": "0.5", "STRIPE_READ_TIMEOUT_SECONDS": "1", "EVENT_SWEEP_SETTLE_SECONDS": "1"}
ORDERS = 60


class Pair:
    """The server that is the primary now, the other, and the address of both."""

    def __init__(self, directory: Path) -> None:
        self.primary = Postgres(directory, Memory(directory))
        self.other: Postgres = Standby(self.primary)

    def start(self) -> None:
        self.primary.start()
        migrate(self.primary.migration_url)
        self.ask(self.primary, "ALTER SYSTEM SET wal_keep_size = '256MB'")  # pg_rewind reads back to where they parted
        self.ask(self.primary, "SELECT pg_reload_conf()")
        self.other.start()
        make_synchronous(self.primary, self.other.name)
        self.wait_for_standby()

    def stop(self) -> None:
        self.other.stop()
        self.primary.stop()

    @property
    def url(self) -> str:
        """As the fleet is told: both hosts, and whichever of them takes writes."""
        first, second = sorted((self.primary.port, self.other.port))
        one = f"@127.0.0.1:{self.primary.port}/"
        return self.primary.url.replace(one, f"@127.0.0.1:{first},127.0.0.1:{second}/") + (
            "?target_session_attrs=read-write"
        )

    def waiting_to_commit(self) -> int:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        return int(self.ask(self.primary, waiting)[0][0])

    def make_read_only(self) -> None:
        """Fence a primary that still runs: nobody connected to it begins a transaction that can write."""
        self.ask(self.primary, "ALTER SYSTEM SET default_transaction_read_only = on")
        self.ask(self.primary, "SELECT pg_reload_conf()")

    def wait_until_caught_up(self) -> None:
        """What was under way when it became read-only has ended, and the standby has all of it."""
        behind = (
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL) "
            "+ pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) FROM pg_stat_replication"
        )
        deadline = time.monotonic() + 20
        while self.ask(self.primary, behind) != [(0,)]:
            assert time.monotonic() < deadline, "the standby does not catch up"
            time.sleep(0.02)

    def promote(self) -> None:
        assert isinstance(self.other, Standby), "the primary's other is a standby"
        self.other.promote()
        self.primary, self.other = self.other, self.primary

    def rejoin(self) -> None:
        """The primary of old is down; it becomes the new one's synchronous standby."""
        self.other = rejoin(self.other, self.primary)
        self.other.start()
        make_synchronous(self.primary, self.other.name)
        self.wait_for_standby()

    def ask(self, server: Postgres, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(server.superuser_url(DATABASE), autocommit=True) as superuser:
            cursor = superuser.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def wait_for_standby(self) -> None:
        deadline = time.monotonic() + 20
        while self.ask(self.primary, "SELECT state, sync_state FROM pg_stat_replication") != [("streaming", "sync")]:
            assert time.monotonic() < deadline, "the standby does not follow"
            time.sleep(0.05)


class FleetOfTwo(Fleet):
    """A fleet whose book lies on the pair."""

    def __init__(self, stack: Stack, pair: Pair, directory: Path) -> None:
        beside = copy.copy(stack)
        beside.postgres = pair.primary
        super().__init__(beside, DATABASE, directory, {**IMPATIENT, "DATABASE_URL": pair.url}, pair.primary.port)
        self._address = pair.url

    @classmethod
    @contextmanager
    def beside(cls, stack: Stack, pair: Pair, directory: Path) -> Iterator["FleetOfTwo"]:
        with ExitStack() as leaving:
            fleet = cls(stack, pair, directory)
            leaving.callback(fleet.end_all)
            fleet._begin(leaving)
            fleet.publish(fleet.order())
            fleet.wait_until_quiet()
            yield fleet

    def follow(self, postgres: Postgres) -> None:
        """Look at this server from now on; the fleet's processes are told nothing."""
        self.postgres = self.stack.postgres = postgres

    def _database_settings(self) -> DatabaseSettings:
        return DatabaseSettings(app_env="test", database_url=self._address)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pair(servers_home: Path) -> Iterator[Pair]:
    directory = servers_home / "pair"
    with Ownership(directory):
        pair = Pair(directory)
        try:
            pair.start()
            yield pair
        finally:
            pair.stop()


@pytest.fixture(scope="module")
def fleet(stack: Stack, pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetOfTwo]:
    with FleetOfTwo.beside(stack, pair, tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


def test_without_its_synchronous_standby_nothing_commits_until_it_is_taken_out(pair: Pair, fleet: FleetOfTwo) -> None:
    settled = fleet.settled()
    pair.other.stop()
    fleet.publish(*fleet.orders(3))
    fleet.wait_until(lambda: pair.waiting_to_commit() > 0, "a commit waits for the standby")
    assert fleet.settled() == settled

    make_synchronous(pair.primary)
    assert_clean(fleet)
    assert fleet.settled() == settled + 3

    pair.other.start()
    make_synchronous(pair.primary, pair.other.name)
    pair.wait_for_standby()


def test_a_planned_change_of_the_primary_kills_no_message_and_no_process(pair: Pair, fleet: FleetOfTwo) -> None:
    """The old primary is made read-only while processes are connected to it: the classic trouble of a failover."""
    with fleet.publish_meanwhile(*fleet.orders(ORDERS), rate=30):
        fleet.wait_until(lambda: fleet.settled() >= 10, "the sale runs")
        pair.make_read_only()
        pair.wait_until_caught_up()
        pair.primary.stop()  # before the promotion: a commit that was late would wait there for a standby that left
        pair.promote()
        fleet.follow(pair.primary)
    assert_nothing_happened(fleet)

    pair.rejoin()
    assert pair.ask(pair.other, "SHOW default_transaction_read_only") == [("off",)]


def test_a_sale_goes_on_when_the_primary_dies_and_its_standby_is_promoted(pair: Pair, fleet: FleetOfTwo) -> None:
    before = fleet.service.published
    with fleet.publish_meanwhile(*fleet.orders(ORDERS), rate=30):
        fleet.wait_until(lambda: fleet.service.published - before >= 20, "orders are on their way")
        pair.primary.kill()
        pair.promote()
        fleet.follow(pair.primary)
        settled = fleet.settled()
        fleet.wait_until(lambda: fleet.settled() > settled, "the first payment after the promotion", timeout=10)
    assert_nothing_happened(fleet)

    pair.rejoin()
    fleet.publish(*fleet.orders(3))
    assert_nothing_happened(fleet)


def assert_nothing_happened(fleet: FleetOfTwo) -> None:
    """Nothing is lost or charged twice, the ledger's chain holds, no message died, and no process had to be started."""
    assert_clean(fleet)
    with fleet.db.system_transaction() as tx:
        hash_chain.seal(tx, limit=10_000)
        assert hash_chain.walk(tx).broken is None
    assert fleet.rows("SELECT reason FROM dead_letters") == []
    assert fleet.ends == []
