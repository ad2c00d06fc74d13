"""What the minter's phases share: the book, the chain, who signs, and the words for what stops them."""

from dataclasses import dataclass

from db.minting.signers import ChainIdentity as KnownChain
from db.minting.signers import known_chain, meet
from db.session import Database
from workers.minting.chain.chain import Chain
from workers.minting.chain.contract import Tickets
from workers.minting.chain.signer import Signer
from workers.minting.settings import ChainSettings
from workers.rules.gas import GWEI, GasMarket

BY = "minter"


class MintingBlocked(Exception):  # noqa: N818  it says what everything waits for, which is no error
    """Nothing can be sent just now, for a reason that concerns every ticket alike and is shown to people."""


class ChangedMeanwhileError(Exception):
    """A ticket moved between the look and the claim: nothing was written, and the next look sees how it stands."""


@dataclass(frozen=True, slots=True)
class MintingContext:
    """What the minter works with. Only made when chain, contract and key are configured: the properties rely on it."""

    db: Database
    chain: Chain
    signer: Signer
    settings: ChainSettings

    @property
    def tickets(self) -> Tickets:
        return Tickets(self.chain, self.contract)

    @property
    def contract(self) -> str:
        assert self.settings.chain_contract is not None, "only a configured minter has means"
        return self.settings.chain_contract

    @property
    def chain_id(self) -> int:
        assert self.settings.chain_id is not None, "only a configured minter has means"
        return self.settings.chain_id

    def market(self) -> GasMarket:
        """What a transaction would cost now; two calls to the node."""
        return GasMarket(self.chain.head().base_fee_wei, self.chain.suggested_tip_wei())


def gwei(wei: int) -> str:
    """An amount of wei for people, in gwei."""
    return f"{wei / GWEI:g} gwei"


def make_sure_of_the_chain(means: MintingContext) -> None:
    """Check that the chain is the one first connected to, and that the contract is there: a transaction to an address
    without code succeeds on any EVM, so after a wiped chain every mint would.

    Raises:
        MintingBlocked: it is another one.
    """
    seen = _look(means)
    with means.db.system_transaction() as tx:
        chain_identity = known_chain(tx, means.chain_id) or meet(tx, seen)
    if chain_identity != seen:
        differing = [
            name
            for name in ("genesis_hash", "contract", "code_hash")
            if getattr(chain_identity, name).lower() != getattr(seen, name).lower()
        ]
        if differing:
            said = ", ".join(
                f"{name} was {getattr(chain_identity, name)}, is {getattr(seen, name)}" for name in differing
            )
            raise MintingBlocked(f"this is not the chain we know: {said}")


def _look(means: MintingContext) -> KnownChain:
    chain_id = means.chain.chain_id()
    if chain_id != means.chain_id:
        raise MintingBlocked(f"the node is of chain {chain_id}, CHAIN_ID says {means.chain_id}")
    genesis = means.chain.block(0)
    code_hash = means.chain.code_hash(means.contract)
    if genesis is None or code_hash is None:
        raise MintingBlocked(f"there is no contract at {means.contract} on chain {chain_id}")
    return KnownChain(chain_id, genesis.hash, means.contract, code_hash)
