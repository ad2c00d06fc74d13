"""A paid ticket becomes one token on a real chain, and the book follows it there step by step."""

from db.minting import submissions
from db.monitoring import gauges
from db.session import Database
from tests.workers.minting.conftest import BUYER, ROYALTY, Chain, Sales, confirm, submit, until_confirmed
from workers.minting.run import Minter


def test_a_paid_ticket_becomes_a_token_of_its_buyer(sales: Sales, minter: Minter, chain: Chain) -> None:
    sold = sales.sell(2)

    until_confirmed(minter, chain)

    assert sales.states(sold) == {"confirmed"}
    tokens = [sales.mint_of(ticket).token_id for ticket in sold.tickets]
    assert [chain.owner_of(token) for token in tokens] == [BUYER, BUYER]
    assert chain.royalty_of(tokens[0]) == (ROYALTY, 750)
    assert chain.tokens_of(BUYER) == 2


def test_what_waits_for_its_token_is_counted_wherever_it_stands(
    db: Database, sales: Sales, minter: Minter, chain: Chain
) -> None:
    def waiting() -> dict[str, int]:
        with db.system_transaction() as tx:
            return submissions.waiting(tx)

    sales.sell(2)
    assert waiting() == {"queued": 2}
    submit(minter, chain)
    sales.sell()
    assert waiting() == {"queued": 1, "submitted": 2}
    chain.mine()
    minter.tick()
    assert waiting() == {"queued": 1, "mined": 2}  # its event is another one, whose royalty comes first
    confirm(minter, chain)
    confirm(minter, chain)
    assert waiting() == {}


def test_the_oldest_ticket_on_its_way_is_seen_in_each_state_and_one_without_a_wallet_is_not(
    sales: Sales, minter: Minter, chain: Chain, db: Database
) -> None:
    sales.sell(1, wallet=None)
    assert oldest(db) == {}
    sold = sales.sell(2)
    assert set(oldest(db)) == {"queued"}

    for _ in range(2):
        minter.tick()
        chain.mine()
    assert set(oldest(db)) == {"submitted"}
    minter.tick()
    assert set(oldest(db)) == {"mined"}
    assert oldest(db)["mined"] < 3_600

    until_confirmed(minter, chain)
    assert sales.states(sold) == {"confirmed"}
    assert oldest(db) == {}


def oldest(db: Database) -> dict[str, float]:
    with db.system_transaction() as tx:
        return gauges.oldest_mints(tx)
