"""Reading the contract for the checker: many tokens at a time, and no key."""

from collections.abc import Sequence

from db.minting.series import ResaleRoyalty
from workers.minting.chain.chain import Chain
from workers.minting.chain.contract import Tickets
from workers.minting.chain.node import Node
from workers.minting.settings import ContractSettings

AT_ONCE = 500


def tickets_of(settings: ContractSettings) -> Tickets:
    """The contract of these settings, for reading: no key is needed."""
    assert settings.chain_contract is not None, "ask `is_configured` first"
    return Tickets(
        Chain(Node(settings.nodes, timeout_seconds=settings.chain_rpc_timeout_seconds)), settings.chain_contract
    )


def owners(tickets: Tickets, token_ids: Sequence[str]) -> dict[str, str | None]:
    """Token -> owner, AT_ONCE tokens a call; None for one never minted; a voided one has the contract's VOID."""
    found: dict[str, str | None] = {}
    for start in range(0, len(token_ids), AT_ONCE):
        found |= tickets.owners(token_ids[start : start + AT_ONCE])
    return found


def royalties(tickets: Tickets, series: Sequence[str]) -> dict[str, ResaleRoyalty]:
    """Series -> its royalty, one call each."""
    return {name: tickets.royalty(name) for name in series}
