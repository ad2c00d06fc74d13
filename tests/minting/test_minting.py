"""A paid ticket becomes one token on a real chain, and the book follows it there step by step."""

from tests.minting.conftest import BUYER, ROYALTY, Chain, Sales, until_confirmed
from workers.minting.run import Minter


def test_a_paid_ticket_becomes_a_token_of_its_buyer(sales: Sales, minter: Minter, chain: Chain) -> None:
    sold = sales.sell(2)

    until_confirmed(minter, chain)

    assert sales.states(sold) == {"confirmed"}
    tokens = [sales.mint_of(ticket).token_id for ticket in sold.tickets]
    assert [chain.owner_of(token) for token in tokens] == [BUYER, BUYER]
    assert chain.royalty_of(tokens[0]) == (ROYALTY, 750)
    assert chain.tokens_of(BUYER) == 2
