"""The minter: the one process that holds a key of the chain, and the only one that sends to it.

    python -m workers.minting

However many run, the one with the lease of the signer works: it first watches what was sent, then submits what is
queued. The others stand by and take over when it dies. Without a chain in its settings it says so in the book and
waits: mints stay queued, and nothing fails.
"""

from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from loguru import logger
from psycopg import Error as DatabaseError

from db.minting import signers
from db.session import Database
from db.settings import DatabaseSettings
from messages.runtime.settings import SettingsError
from outbox.monitoring.checks import database_check
from outbox.process.heartbeat import beat
from outbox.process.run import Process, Program, Work
from workers.minting.settings import ChainSettings

if TYPE_CHECKING:
    from workers.minting.run import Minter

UNCONFIGURED = "no chain is configured: set CHAIN_RPC_URLS, CHAIN_ID, CHAIN_CONTRACT and CHAIN_SIGNER_KEY_FILE"
LOOK_AROUND_SECONDS = 15.0


def _minter(process: Process, database: DatabaseSettings, chain: ChainSettings) -> Work:
    db = process.database(database)
    process.serve_health({"db": database_check(db)}, ("db",))
    if not chain.is_configured:
        logger.warning("{}; mints wait", UNCONFIGURED)
        return partial(stand_by, db, process.stopping)
    minter = of_settings(db, chain, process.stopping)
    logger.info("minter started", signer=minter.means.signer.address)
    return minter.run


def main() -> None:
    """Run the minter until it is asked to stop. Several may run; the signer's lease lets one of them send."""
    Program("minter").run((DatabaseSettings, ChainSettings), _minter)


def stand_by(db: Database, stopping: Event) -> None:
    """Say in the database why nothing is minted, until there is a chain."""
    while True:
        beat("minter")
        try:
            with db.system_transaction() as tx:
                signers.wait_for(tx, "-", UNCONFIGURED)
        except DatabaseError as error:
            logger.warning("database unavailable: {}", type(error).__name__)
        if stopping.wait(LOOK_AROUND_SECONDS):
            return


def of_settings(db: Database, settings: ChainSettings, stopping: Event) -> "Minter":
    """A minter for this chain.

    Raises:
        SettingsError: the chain's libraries are missing, the key cannot be used, or the nodes are of another chain.
    """
    try:
        # The chain's libraries cost time and memory, and only a minter with a chain needs them.
        from workers.minting import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        missing = f"a chain is configured and {error.name} is not installed: install payment-fleet[nft]"
        raise SettingsError([missing]) from None
    return run.of_settings(db, settings, stopping)


if __name__ == "__main__":
    main()
