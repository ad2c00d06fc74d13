"""The minter: the one process that holds a key of the chain, and the only one that sends to it.

    python -m workers.minting

However many run, the one with the lease of the signer works: it first watches what was sent, then submits what is
queued. The others stand by and take over when it dies. Without a chain in its settings it says so in the book and
waits: mints stay queued, and nothing fails.
"""

from threading import Event
from typing import TYPE_CHECKING

from loguru import logger
from psycopg import Error as DatabaseError

from db.minting import signers
from db.session import Database
from db.settings import DatabaseSettings
from messages.runtime.settings import SettingsError, load, stop_the_start
from outbox.monitoring.health import Health, HealthSettings, database_check, serve_health
from outbox.process.heartbeat import beat
from outbox.process.logs import configure_logs
from outbox.process.shutdown import leave_while_starting, stop_on_signals
from outbox.process.tracing import start_tracing
from workers.minting.settings import ChainSettings

if TYPE_CHECKING:
    from workers.minting.run import Minter

UNCONFIGURED = "no chain is configured: set CHAIN_RPC_URLS, CHAIN_ID, CHAIN_CONTRACT and CHAIN_SIGNER_KEY_FILE"
LOOK_AROUND_SECONDS = 15.0


def main() -> None:
    leave_while_starting()
    try:
        database, chain, health = load(DatabaseSettings, ChainSettings, HealthSettings)
    except SettingsError as error:
        stop_the_start(error)
    configure_logs(database.app_env, "minter")
    start_tracing("minter")
    stopping = Event()
    stop_on_signals(stopping)
    db = Database(database, application="fleet-minter")
    serve_health(health, Health("minter", {"db": database_check(db)}, ("db",), stopping))
    if chain.is_configured:
        minter = of_settings(db, chain, stopping)
        logger.info("minter started", signer=minter.means.signer.address)
        minter.run()
    else:
        logger.warning("{}; mints wait", UNCONFIGURED)
        stand_by(db, stopping)
    db.close()


def stand_by(db: Database, stopping: Event) -> None:
    """Say in the book why nothing is minted, until there is a chain."""
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
    """A minter for this chain; a wrong setting stops the start."""
    try:
        # The chain's libraries cost time and memory, and only a minter with a chain needs them.
        from workers.minting import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        missing = f"a chain is configured and {error.name} is not installed: install payment-fleet[nft]"
        stop_the_start(SettingsError([missing]))
    try:
        return run.of_settings(db, settings, stopping)
    except SettingsError as error:
        stop_the_start(error)


if __name__ == "__main__":
    main()
