"""A chain that mines only when a test asks for it, the minter beside it, and tickets that were paid.

anvil's own miner and its `anvil_reorg` do not go together (blocks are counted twice), so one thread drives both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pydantic import SecretStr

from db.minting import mints, venue_settings
from db.minting.mints import Mint
from db.minting.nonces import ContractCall
from db.minting.venue_settings import MintSettings
from db.payments.payments import Payment
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.proofs.mints.faulty_node import FaultyNode
from deploy.local.stack import chain as local_chain
from deploy.local.stack.chain import CHAIN_ID
from deploy.local.stack.memory import Memory
from messages.ids import TicketId
from messages.mints import MintRequested, MintRetryRequested
from messages.payments import ChargeRequested
from messages.token_ids import checksummed, keccak256
from stripe_client.gateway import Gateway
from tests import factories
from workers.minting import run
from workers.minting.chain.transactions import sign
from workers.minting.mint import mint, mint_retry
from workers.minting.run import Minter
from workers.minting.settings import ChainSettings
from workers.payments.charge import charge
from workers.rules.gas import GWEI, Fees

NO_CHAIN = "no anvil on this machine: `make chain` puts it under .local/chain where npm is there"
CONFIRMATIONS = 3
BUYER = checksummed("0x" + "b1" * 20)
ROYALTY = checksummed("0x" + "a7" * 20)
REVERTS = "0x60006000fd"  # code that does nothing else


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_chain.Chain]:
    if local_chain.anvil_binary() is None:
        pytest.skip(NO_CHAIN)
    directory = tmp_path_factory.mktemp("chain")
    server = local_chain.Chain(directory, Memory(directory), mining=False, keep=False)
    server.start()
    yield server
    server.kill()


@dataclass
class Chain:
    """The one who drives the chain, and looks at it past everything that is tested."""

    server: local_chain.Chain

    def rpc(self, method: str, *params: object) -> Any:
        return self.server.node.call(method, *params)

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.rpc("evm_mine")

    def reorganise(self, depth: int) -> None:
        """The last blocks are replaced by empty ones; their transactions are gone from the node as well."""
        self.rpc("anvil_reorg", depth, [])

    def owner_of(self, token_id: str) -> str:
        answer = self.rpc("eth_call", {"to": self.server.contract, "data": "0x6352211e" + token_id[2:]}, "latest")
        return checksummed("0x" + answer[-40:])

    def royalty_of(self, token_id: str, price: int = 10_000) -> tuple[str, int]:
        data = "0x2a55205a" + token_id[2:] + f"{price:064x}"
        answer = self.rpc("eth_call", {"to": self.server.contract, "data": data}, "latest")
        return checksummed("0x" + answer[26:66]), int(answer[66:], 16)

    def tokens_of(self, owner: str) -> int:
        data = "0x70a08231" + owner[2:].lower().rjust(64, "0")
        return int(self.rpc("eth_call", {"to": self.server.contract, "data": data}, "latest"), 16)

    def administer(self, selector: str) -> None:
        """Revoke or grant the minter's role, with a transaction of the admin (who is the minter here)."""
        role, minter = keccak256(b"MINTER_ROLE").hex(), self.server.signer.address
        self.rpc("anvil_impersonateAccount", minter)
        data = "0x" + selector + role + minter[2:].lower().rjust(64, "0")
        self.rpc("eth_sendTransaction", {"from": minter, "to": self.server.contract, "data": data, "gas": "0x30d40"})
        self.rpc("anvil_stopImpersonatingAccount", minter)
        self.mine()

    def send(self, data: bytes, *, to: str | None = None, nonce: int | None = None) -> None:
        """A transaction that is signed with the minter's key, past the minter; dear, so that it is mined first."""
        signer = self.server.signer
        call = ContractCall("test", to or self.server.contract, data, 500_000)
        at = self.nonce() if nonce is None else nonce
        fees = Fees(50 * GWEI, 5 * GWEI)
        self.rpc("eth_sendRawTransaction", "0x" + sign(signer, call, chain_id=CHAIN_ID, nonce=at, fees=fees).raw.hex())

    def nonce(self) -> int:
        return int(self.rpc("eth_getTransactionCount", self.server.signer.address, "latest"), 16)


@pytest.fixture
def chain(anvil: local_chain.Chain) -> Iterator[Chain]:
    """As it was after the contract was deployed: what a test does to it is taken back."""
    driver = Chain(anvil)
    snapshot = driver.rpc("evm_snapshot")
    yield driver
    driver.rpc("anvil_dropAllTransactions")
    driver.rpc("evm_revert", snapshot)


@pytest.fixture
def settings(anvil: local_chain.Chain) -> ChainSettings:
    return chain_settings(anvil)


def chain_settings(server: local_chain.Chain, **changes: Any) -> ChainSettings:
    """Impatient: what takes a minute in production takes no time here."""
    return ChainSettings(
        **{  # type: ignore[arg-type]
            "app_env": "test",
            "chain_rpc_urls": SecretStr(server.url),
            "chain_id": local_chain.CHAIN_ID,
            "chain_contract": server.contract,
            "chain_signer_key_file": server.key_file,
            "chain_confirmations": CONFIRMATIONS,
            "chain_poll_seconds": 0.05,
            "chain_lease_seconds": 0.2,
            "chain_stuck_seconds": 3600.0,
        }
        | changes
    )


@pytest.fixture
def minter(db: Database, chain: Chain, settings: ChainSettings) -> Minter:
    return new_minter(db, settings)


def new_minter(db: Database, settings: ChainSettings) -> Minter:
    from threading import Event  # noqa: PLC0415

    return run.of_settings(db, settings, Event())


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    made = factories.tenant(owner)
    wants(owner, made)
    return made


def wants(owner: psycopg.Connection, tenant: Tenant, **changes: Any) -> None:
    """The venue mints, with a royalty of 7.5 %, unless something else matters."""
    settings = {"mints": "on", "royalty_receiver": ROYALTY, "royalty_basis_points": 750} | changes
    venue_settings.write(owner, tenant.tenant_id, [MintSettings(tenant.venues[0].venue_id, **settings)])


@dataclass
class Sold:
    """One paid order."""

    payment: Payment
    tickets: list[UUID]


@dataclass
class Sales:
    db: Database
    tenant: Tenant
    gateway: Gateway

    def sell(self, tickets: int = 1, **changes: Any) -> Sold:
        """An order that is charged, and whose tokens are queued."""
        sold = self.charge(tickets, **changes)
        self.queue(sold)
        return sold

    def charge(self, tickets: int = 1, **changes: Any) -> Sold:
        changes.setdefault("wallet", BUYER)
        data = factories.order(self.tenant, amount_minor=1_000 * tickets)
        data["tickets"] = [
            {**data["tickets"][0], "ticket_id": str(factories.uuid4()), "face_price_minor": 1_000, "seat": f"A{seat}"}
            for seat in range(tickets)
        ]
        payment = factories.requested(self.db, self.tenant, **data | changes)
        charge(ChargeRequested(tenant_id=self.tenant.tenant_id, payment_id=payment.payment_id), self.db, self.gateway)
        paid = factories.reread(self.db, self.tenant.tenant_id, payment.payment_id)
        return Sold(paid, [UUID(ticket["ticket_id"]) for ticket in data["tickets"]])

    def queue(self, sold: Sold) -> None:
        request = MintRequested(tenant_id=self.tenant.tenant_id, payment_id=sold.payment.payment_id)
        mint(request, self.db)

    def retry(self, ticket_id: UUID) -> None:
        payment_id = self.mint_of(ticket_id).payment_id
        again = MintRetryRequested(
            tenant_id=self.tenant.tenant_id, payment_id=payment_id, ticket_id=TicketId(ticket_id)
        )
        mint_retry(again, self.db)

    def mint_of(self, ticket_id: UUID) -> Mint:
        with self.db.transaction(self.tenant.tenant_id) as tx:
            found = mints.get(tx, TicketId(ticket_id))
        assert found is not None
        return found

    def states(self, sold: Sold) -> set[str]:
        return {self.mint_of(ticket).state.value for ticket in sold.tickets}


@pytest.fixture
def sales(db: Database, tenant: Tenant, gateway: Gateway) -> Sales:
    return Sales(db, tenant, gateway)


def until_confirmed(minter: Minter, chain: Chain) -> None:
    """Royalty, mint, and as many blocks as it takes."""
    for _ in range(3):
        minter.tick()
        chain.mine()
    chain.mine(CONFIRMATIONS)
    minter.tick()


@pytest.fixture
def node(anvil: local_chain.Chain) -> Iterator[FaultyNode]:
    """A node that misbehaves as a test tells it to, in front of the sound one."""
    with FaultyNode(anvil.url) as faulty:
        yield faulty


@pytest.fixture
def over_faulty_node(db: Database, chain: Chain, node: FaultyNode) -> Minter:
    """A minter that reaches the chain by way of that node alone, and loses its patience at once."""
    settings = chain_settings(chain.server, chain_rpc_urls=SecretStr(node.url), chain_stuck_seconds=0.001)
    return new_minter(db, settings)


@dataclass
class Books:
    """What the book says of transactions."""

    owner: psycopg.Connection

    def slots(self) -> list[tuple[int, str, str]]:
        return self.owner.execute("SELECT nonce, kind, state FROM slots ORDER BY nonce").fetchall()

    def attempts(self, nonce: int) -> list[tuple[int, int]]:
        return self.owner.execute(
            "SELECT max_fee_wei, tip_wei FROM attempts JOIN slots USING (slot_id) WHERE nonce = %s ORDER BY number",
            [nonce],
        ).fetchall()

    def history(self, ticket_id: UUID) -> list[str]:
        rows = self.owner.execute("SELECT to_state FROM mint_history WHERE ticket_id = %s ORDER BY seq", [ticket_id])
        return [state for (state,) in rows]

    def told(self) -> list[str]:
        rows = self.owner.execute("SELECT kind FROM outbox WHERE exchange = 'payments' AND kind LIKE 'ticket.%%'")
        return sorted(kind for (kind,) in rows)

    def waits(self) -> list[str]:
        return [reason for (reason,) in self.owner.execute("SELECT reason FROM mint_waits")]


@pytest.fixture
def books(owner: psycopg.Connection) -> Books:
    return Books(owner)


def submit(minter: Minter, chain: Chain) -> None:
    """The royalty is set and mined, and the mint is sent; it waits for a block."""
    minter.tick()
    chain.mine()
    minter.tick()


def confirm(minter: Minter, chain: Chain) -> None:
    """One block for the mint, and as many as it takes above it."""
    for _ in range(CONFIRMATIONS + 1):
        chain.mine()
        minter.tick()


def while_the_contract_reverts(chain: Chain) -> None:
    """One block in which every call of the contract reverts, as when a role is lost between sending and mining."""
    code = chain.rpc("eth_getCode", chain.server.contract, "latest")
    chain.rpc("anvil_setCode", chain.server.contract, REVERTS)
    chain.mine()
    chain.rpc("anvil_setCode", chain.server.contract, code)
