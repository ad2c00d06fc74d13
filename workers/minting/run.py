"""The minter's loop: take or renew the lease, make sure of the chain, watch, submit, look around.

What stops everything at once (a price above the cap, nodes that are away, another chain, a lost role) is written down
as the one reason for which all mints wait; the loop goes on looking, and it is gone by itself when the trouble is.
"""

import os
import socket
import time
from dataclasses import dataclass, field
from threading import Event
from uuid import uuid4

from loguru import logger
from psycopg import Error as DatabaseError

from db.minting import signers
from db.minting.signers import Lease, LeaseLostError
from db.session import Database
from messages.runtime.settings import SettingsError
from outbox.process.heartbeat import beat
from outbox.process.metrics import CHAIN_BALANCE, CHAIN_LOW_BALANCE, MINTS, MINTS_HELD_UP
from workers.minting.chain.chain import Chain
from workers.minting.chain.node import ChainAwayError, Node, NodeRefusedError
from workers.minting.chain.signer import KeyFileError, KeyFileSigner
from workers.minting.context import ChangedMeanwhileError, MintingBlocked, MintingContext, gwei, make_sure_of_the_chain
from workers.minting.settings import ChainSettings
from workers.minting.submit import submit
from workers.minting.track import watch
from workers.rules.gas import GWEI

LOOK_AROUND_SECONDS = 15.0


def of_settings(db: Database, settings: ChainSettings, stopping: Event) -> "Minter":
    """A minter for this chain.

    Raises:
        SettingsError: the key cannot be used, or the nodes are of another chain.
    """
    assert settings.chain_signer_key_file is not None, "a configured chain has one"
    chain = Chain(Node(settings.nodes, timeout_seconds=settings.chain_rpc_timeout_seconds))
    try:
        signer = KeyFileSigner(settings.chain_signer_key_file)
    except KeyFileError as error:
        raise SettingsError([f"CHAIN_SIGNER_KEY_FILE: {error}."]) from None
    try:
        found = chain.chain_id()
    except (ChainAwayError, NodeRefusedError) as error:
        logger.warning("{}; retrying", error)
    else:
        if found != settings.chain_id:
            raise SettingsError([f"CHAIN_ID is {settings.chain_id}, and the nodes are of chain {found}."])
    return Minter(MintingContext(db, chain, signer, settings), stopping)


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


@dataclass(slots=True)
class Minter:
    """One minter: `run` loops, `tick` is one round.

    `name` is unique to the process, as the holder of its lease must
    be.
    """

    means: MintingContext
    stopping: Event = field(default_factory=Event)
    name: str = field(default_factory=_name)
    _look_around_at: float = 0.0

    def __post_init__(self) -> None:
        for outcome in ("minted", "failed", "voided"):  # Prometheus sees no increase in what appears with its first
            MINTS.labels(outcome)

    def run(self) -> None:
        """Work until asked to stop; troubles of the world are waited out."""
        while not self.stopping.is_set():
            beat("minter")
            try:
                self.tick()
            except DatabaseError as error:
                logger.warning("database unavailable: {}", type(error).__name__)
            self.stopping.wait(self.means.settings.chain_poll_seconds)
        try:
            self.retire()
        except DatabaseError as error:
            logger.warning("database unavailable: {}; the lease will expire", type(error).__name__)

    def tick(self) -> Lease | None:
        """One look at everything, and all that can be sent now; None while another minter has the lease.

        Raises:
            psycopg.Error: the database is away; what was committed stays, and the next look goes on from there.
        """
        lease = self._lease()
        if lease is None:
            MINTS_HELD_UP.set(0)  # what holds mints up is for the minter with the lease to say
            return None
        try:
            make_sure_of_the_chain(self.means)
            watch(self.means, lease)
            while submit(self.means, lease) and not self.stopping.is_set() and self._lease() is not None:
                pass
        except (MintingBlocked, ChainAwayError, NodeRefusedError) as error:
            self._wait_for(str(error))
        except LeaseLostError as error:
            logger.warning("{}; another minter continues", error)
            return None
        except ChangedMeanwhileError as error:
            logger.info("{}; reading again", error)
        else:
            self._all_is_well()
        return lease

    def retire(self) -> None:
        """Let the next minter begin at once instead of when the lease runs out."""
        with self.means.db.system_transaction() as tx:
            signers.give_back_lease(tx, chain_id=self.means.chain_id, holder=self.name)

    def _lease(self) -> Lease | None:
        means = self.means
        with means.db.system_transaction() as tx:
            return signers.take_lease(
                tx,
                chain_id=means.chain_id,
                address=means.signer.address,
                holder=self.name,
                seconds=means.settings.chain_lease_seconds,
            )

    def _wait_for(self, reason: str) -> None:
        with self.means.db.system_transaction() as tx:
            news = signers.wait_for(tx, self.means.signer.address, reason)
        MINTS_HELD_UP.set(1)
        if news:
            logger.warning("minting blocked: {}", reason)

    def _all_is_well(self) -> None:
        with self.means.db.system_transaction() as tx:
            signers.wait_no_more(tx, self.means.signer.address)
        MINTS_HELD_UP.set(0)
        if time.monotonic() >= self._look_around_at:
            self._look_around_at = time.monotonic() + LOOK_AROUND_SECONDS
            self._look_at_the_balance()

    def _look_at_the_balance(self) -> None:
        try:
            balance = self.means.chain.balance_wei(self.means.signer.address)
        except (ChainAwayError, NodeRefusedError):
            return  # the next tick will say so
        CHAIN_BALANCE.set(balance / GWEI)
        CHAIN_LOW_BALANCE.set(self.means.settings.chain_low_balance_gwei)
        if balance < self.means.settings.chain_low_balance_gwei * GWEI:
            logger.error("signer balance is low, {} left: fund it", gwei(balance), signer=self.means.signer.address)
