"""seal_ledger: append the journals that are new to the chain over the ledger, batch by batch.

Off the hot path, so that no payment waits for the one place where the chain grows. A second run finds nothing left to
seal; one that was killed has sealed whole batches. Two at once go one after the other.
"""

import time

from db.ledger import hash_chain
from db.session import Database
from messages.reconciliation import SealDue
from workers.runtime.actor import actor

# A thousand links take about a tenth of a second; the statement timeout is five.
BATCH = 1_000
RUN_SECONDS = 60.0


@actor(SealDue)
def seal_ledger(_msg: SealDue, db: Database) -> None:
    """Seal batches for at most RUN_SECONDS; what is left is sealed by the next periodic message."""
    started = time.monotonic()
    while time.monotonic() - started < RUN_SECONDS:
        with db.system_transaction() as tx:
            if hash_chain.seal(tx, limit=BATCH) < BATCH:
                return
