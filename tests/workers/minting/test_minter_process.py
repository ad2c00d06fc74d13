"""The minter as a process: killed at each of its named points, without a chain, with wrong settings."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event

import httpx
import pytest
from pydantic import SecretStr

from db.session import Database
from db.settings import DatabaseSettings
from deploy.local.stack.chain import Chain as Server
from deploy.local.stack.stack import CLONE
from deploy.local.stripe.process import free_port
from tests.conftest import Book
from tests.faults.points import MINTER, points_of
from tests.workers.minting.conftest import BUYER, Books, Chain, Sales
from workers.minting import run
from workers.minting.settings import ChainSettings

REPLACING = "minter.before_replacing"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(book: Book, tmp_path: Path) -> Iterator[Start]:
    """Start `python -m workers.minting` on this test's book; every one of them has ended afterwards."""
    running: list[subprocess.Popen[str]] = []

    def one(**environment: str) -> "subprocess.Popen[str]":
        bare = {name: value for name, value in os.environ.items() if not name.startswith("CHAIN_")}
        own = {"APP_ENV": "test", "DATABASE_URL": book.fleet_url, "FLEET_CRASH_POINTS": str(tmp_path)}
        command = [sys.executable, "-m", "workers.minting"]
        process = subprocess.Popen(
            command, env=bare | own | environment, cwd=CLONE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        running.append(process)
        return process

    yield one
    for process in running:
        process.kill()
        process.communicate()


def on_chain(server: Server, *, stuck_seconds: float = 3600) -> dict[str, str]:
    return server.environment() | {
        "CHAIN_POLL_SECONDS": "0.05",
        "CHAIN_LEASE_SECONDS": "0.3",
        "CHAIN_STUCK_SECONDS": str(stuck_seconds),
    }


@pytest.mark.parametrize("point", points_of(MINTER))
def test_a_minter_killed_at_this_point_mints_each_ticket_once_and_wastes_no_nonce(
    sales: Sales, chain: Chain, start: Start, books: Books, tmp_path: Path, point: str
) -> None:
    sold = sales.sell(3)
    (tmp_path / point).touch()
    replacing = point == REPLACING
    environment = on_chain(chain.server, stuck_seconds=0.2 if replacing else 3600)

    first = start(**environment)
    _until(lambda: first.poll() is not None, chain, mining=not replacing)
    start(**environment)
    _until(lambda: sales.states(sold) == {"confirmed"}, chain)

    assert first.returncode == -signal.SIGKILL
    assert chain.tokens_of(BUYER) == 3
    nonces = [nonce for nonce, _, _ in books.slots()]
    assert nonces == list(range(nonces[0], chain.nonce()))
    assert books.told() == ["ticket.minted"] * 3


def test_a_minter_whose_database_is_away_when_it_is_asked_to_stop_leaves_its_lease_to_run_out(
    settings: ChainSettings,
) -> None:
    nowhere = DatabaseSettings(app_env="test", database_url=SecretStr("postgresql://fleet@127.0.0.1:1/fleet"))  # type: ignore[arg-type]
    db, stopping = Database(nowhere, application="test", patience_seconds=0.1), Event()
    minter = run.of_settings(db, settings, stopping)
    stopping.set()

    minter.run()

    db.close()


def test_a_minter_that_is_asked_to_stop_gives_its_lease_back(chain: Chain, start: Start, books: Books) -> None:
    process = start(**on_chain(chain.server))
    holder = "SELECT lease_holder FROM signers WHERE lease_holder IS NOT NULL"
    _until(lambda: books.owner.execute(holder).fetchone() is not None, chain)

    process.terminate()

    assert process.wait(10) == 0
    assert books.owner.execute(holder).fetchone() is None


def test_what_alarms_of_mints_is_on_the_minters_page_before_its_first_mint(chain: Chain, start: Start) -> None:
    port = free_port()
    start(**on_chain(chain.server), HEALTH_PORT=str(port))
    page: list[str] = [""]

    def looked() -> bool:
        with suppress(httpx.TransportError):
            page[0] = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        return "fleet_chain_low_balance_gwei 5e+07" in page[0]

    _until(looked, chain)

    assert 'fleet_mints_total{outcome="minted"} 0.0' in page[0]
    assert "fleet_mints_held_up 0.0" in page[0]


def test_without_a_chain_mints_wait_and_the_book_says_why(
    sales: Sales, chain: Chain, start: Start, books: Books
) -> None:
    sold = sales.sell()
    process = start()

    _until(lambda: bool(books.waits()), chain)

    assert books.waits()[0].startswith("no chain is configured: set CHAIN_RPC_URLS")
    assert (process.poll(), sales.states(sold)) == (None, {"queued"})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"CHAIN_CONTRACT": ""}, "half a chain is configured: set CHAIN_CONTRACT too, or none of them."),
        ({"CHAIN_ID": "1"}, "CHAIN_ID is 1, and the nodes are of chain 31337."),
        ({"CHAIN_SIGNER_KEY_FILE": "/nowhere/key"}, "CHAIN_SIGNER_KEY_FILE: /nowhere/key cannot be read"),
        ({"CHAIN_RPC_URLS": "ws://127.0.0.1:1"}, "CHAIN_RPC_URLS: 127.0.0.1: the address must start with http://"),
        ({"CHAIN_CONFIRMATIONS": "0"}, "CHAIN_CONFIRMATIONS"),
        ({"APP_ENV": "production"}, "FLEET_CRASH_POINTS is set: production does not crash on purpose"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(
    chain: Chain, start: Start, changes: dict[str, str], sentence: str
) -> None:
    process = start(**on_chain(chain.server) | changes)

    _, said = process.communicate(timeout=30)

    assert process.returncode == 78
    assert sentence in said
    assert "Traceback" not in said


def test_a_key_that_others_can_read_is_refused_and_not_shown(chain: Chain, start: Start, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("5e" * 32)
    key.chmod(0o640)

    process = start(**on_chain(chain.server) | {"CHAIN_SIGNER_KEY_FILE": str(key)})
    _, said = process.communicate(timeout=30)

    assert process.returncode == 78
    assert "may be read by others: chmod 600 it" in said
    assert "5e5e" not in said


def _until(done: Callable[[], bool], chain: Chain, *, mining: bool = True) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        if mining:
            chain.mine()
        time.sleep(0.1)
