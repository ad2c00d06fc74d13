"""The small form of `fleet prove mints`: sixty tickets, four minters that die at their points, from a seed.

The whole form runs real processes and takes minutes. Here a death is an exception at a named point: it leaves the
database as a kill would (an open transaction is rolled back), and the minter is made anew.
"""

from random import Random

import pytest
from pydantic import SecretStr

from db.session import Database
from deploy.local.proofs.mints.faulty_node import FaultyNode
from deploy.local.proofs.mints.fleet import misbehave
from tests.workers.minting.conftest import (
    BUYER,
    CONFIRMATIONS,
    ROYALTY,
    Books,
    Chain,
    Sales,
    chain_settings,
    confirm,
    new_minter,
)
from workers.minting import submit, track

MINTERS = 4
STEPS = 400


class DiedError(BaseException):
    """As SIGKILL: nobody catches it."""


@pytest.mark.parametrize("seed", [1, 2])
def test_sixty_tickets_become_sixty_tokens_whatever_dies_lies_or_is_taken_back(
    sales: Sales, db: Database, chain: Chain, node: FaultyNode, books: Books, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = Random(seed)  # noqa: S311  seeded, not a secret
    misbehave(node, chance)
    patience = {"chain_batch": 7, "chain_lease_seconds": 0.02, "chain_stuck_seconds": 0.05}
    settings = chain_settings(chain.server, chain_rpc_urls=SecretStr(node.url), **patience)
    deaths = 0

    def die(_point: str) -> None:
        if chance.random() < 0.15:
            raise DiedError

    for module in (submit, track):
        monkeypatch.setattr(module, "crash_point", die)
    sold = [sales.sell(4) for _ in range(15)]
    minters = [new_minter(db, settings) for _ in range(MINTERS)]
    for step in range(STEPS):
        which = chance.randrange(MINTERS)
        try:
            minters[which].tick()
        except DiedError:
            deaths += 1
            minters[which] = new_minter(db, settings)
        if chance.random() < 0.5:
            chain.mine()
        if step in {STEPS // 3, STEPS // 2}:
            chain.reorganise(2 if step == STEPS // 3 else CONFIRMATIONS + 3)
        if chance.random() < 0.1:
            sales.queue(chance.choice(sold))
    node.heal()
    monkeypatch.undo()
    for minter in minters:
        minter.retire()
    last = new_minter(db, chain_settings(chain.server, chain_stuck_seconds=0.05))
    for _ in range(6):
        confirm(last, chain)

    assert {state for each in sold for state in sales.states(each)} == {"confirmed"}
    tokens = [sales.mint_of(ticket).token_id for each in sold for ticket in each.tickets]
    assert {chain.owner_of(token) for token in tokens} == {BUYER}
    assert {chain.royalty_of(token) for token in tokens} == {(ROYALTY, 750)}
    assert chain.tokens_of(BUYER) == len(tokens) == 60
    nonces = [nonce for nonce, _, _ in books.slots()]
    assert nonces == list(range(nonces[0], chain.nonce()))
    assert {state for _, _, state in books.slots()} == {"final"}
    assert books.told() == ["ticket.minted"] * 60
    assert deaths >= 5
