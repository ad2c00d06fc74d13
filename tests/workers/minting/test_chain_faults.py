"""FAULTS 35 and its relatives: whatever the nodes say, lose or invent, a ticket has one token and no nonce is missing.

Each test drives the chain from its own thread: nothing is mined that it did not ask for.
"""

from itertools import pairwise

import pytest

from db.session import Database
from deploy.local.proofs.mints.faulty_node import (
    Fault,
    FaultyNode,
    bad_gateway,
    error_although_done,
    forget,
    hang_up,
    lie,
    lose_answer,
    too_many_requests,
)
from tests.workers.minting.conftest import (
    BUYER,
    CONFIRMATIONS,
    Books,
    Chain,
    Sales,
    chain_settings,
    confirm,
    new_minter,
    submit,
    until_confirmed,
)
from workers.minting.run import Minter
from workers.rules.gas import GWEI


@pytest.mark.parametrize("fault", [lose_answer, error_although_done, hang_up, bad_gateway, too_many_requests, forget])
def test_a_transaction_whose_answer_is_wrong_is_offered_again_and_mints_once(
    sales: Sales, over_faulty_node: Minter, node: FaultyNode, chain: Chain, books: Books, fault: Fault
) -> None:
    sold = sales.sell(2)
    minter = over_faulty_node
    minter.tick()
    chain.mine()
    node.next("eth_sendRawTransaction", fault)

    minter.tick()
    minter.tick()
    confirm(minter, chain)

    assert sales.states(sold) == {"confirmed"}
    assert chain.tokens_of(BUYER) == 2
    assert [(kind, state) for _, kind, state in books.slots()] == [("royalty", "final"), ("mint", "final")]
    assert chain.nonce() == books.slots()[-1][0] + 1
    assert books.told() == ["ticket.minted"] * 2


@pytest.mark.parametrize("fault", [hang_up, bad_gateway, too_many_requests])
def test_the_next_node_is_asked_when_one_fails(
    db: Database, sales: Sales, node: FaultyNode, chain: Chain, fault: Fault
) -> None:
    both = chain_settings(chain.server, chain_rpc_urls=f"{node.url}, {chain.server.url}")
    node.chance = lambda _method: fault
    sold = sales.sell()

    until_confirmed(new_minter(db, both), chain)

    assert sales.states(sold) == {"confirmed"}


def test_mints_wait_while_no_node_answers_and_the_book_says_why(
    sales: Sales, over_faulty_node: Minter, node: FaultyNode, chain: Chain, books: Books
) -> None:
    sold = sales.sell()
    node.chance = lambda _method: bad_gateway

    over_faulty_node.tick()

    assert books.waits() == ["no node of the chain answers: 127.0.0.1: HTTP 502"]
    assert sales.states(sold) == {"queued"}
    node.heal()
    until_confirmed(over_faulty_node, chain)
    assert (sales.states(sold), books.waits()) == ({"confirmed"}, [])


def test_a_stuck_transaction_is_replaced_by_a_dearer_one_without_a_hand(
    db: Database, sales: Sales, chain: Chain, books: Books
) -> None:
    sold = sales.sell()
    patient = new_minter(db, chain_settings(chain.server))
    submit(patient, chain)
    impatient = new_minter(db, chain_settings(chain.server, chain_stuck_seconds=0.001))
    (nonce, _, _) = books.slots()[-1]
    patient.retire()

    impatient.tick()
    impatient.tick()
    fees = books.attempts(nonce)
    confirm(impatient, chain)

    assert len(fees) == 3
    for earlier, later in pairwise(fees):
        assert [dearer >= before * 1.125 for before, dearer in zip(earlier, later, strict=True)] == [True, True]
    assert sales.states(sold) == {"confirmed"}
    assert (chain.tokens_of(BUYER), chain.nonce()) == (1, nonce + 1)


def test_a_price_above_the_cap_is_waited_out_and_takes_no_nonce(
    sales: Sales, minter: Minter, chain: Chain, books: Books
) -> None:
    sold = sales.sell()
    chain.rpc("anvil_setNextBlockBaseFeePerGas", hex(500 * GWEI))
    chain.mine()

    minter.tick()

    assert books.waits()[0].startswith("price: a gas costs 5")
    assert (sales.states(sold), books.slots()) == ({"queued"}, [])
    chain.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    chain.mine()
    until_confirmed(minter, chain)
    assert (sales.states(sold), books.waits()) == ({"confirmed"}, [])


def test_a_mint_that_would_cost_too_much_waits_too(db: Database, sales: Sales, chain: Chain, books: Books) -> None:
    sales.sell()
    submit(new_minter(db, chain_settings(chain.server, chain_mint_cost_gwei=1_000)), chain)

    assert books.waits()[0].startswith("price: a mint costs ")


def test_a_block_that_is_reorganised_away_puts_its_tickets_back_and_the_same_bytes_mint_them(
    sales: Sales, minter: Minter, chain: Chain, books: Books
) -> None:
    sold = sales.sell()
    submit(minter, chain)
    chain.mine()
    minter.tick()

    chain.reorganise(1)
    minter.tick()
    confirm(minter, chain)

    ways = ["queued", "submitted", "mined", "submitted", "mined", "confirmed"]
    assert books.history(sold.tickets[0]) == ways
    assert chain.tokens_of(BUYER) == 1
    assert len(books.attempts(books.slots()[-1][0])) == 1


def test_a_reorganisation_deeper_than_we_wait_is_noticed_and_told_nobody_twice(
    sales: Sales, minter: Minter, chain: Chain, books: Books
) -> None:
    sold = sales.sell()
    until_confirmed(minter, chain)
    assert sales.states(sold) == {"confirmed"}

    chain.reorganise(CONFIRMATIONS + 2)
    minter.tick()
    assert sales.states(sold) == {"submitted"}
    confirm(minter, chain)

    assert sales.states(sold) == {"confirmed"}
    assert (chain.tokens_of(BUYER), books.told()) == (1, ["ticket.minted"])


def test_a_nonce_that_somebody_else_used_is_given_up_and_the_tickets_take_the_next(
    sales: Sales, over_faulty_node: Minter, node: FaultyNode, chain: Chain, books: Books
) -> None:
    sold = sales.sell(2)
    minter = over_faulty_node
    minter.tick()
    chain.mine()
    node.next("eth_sendRawTransaction", forget)
    minter.tick()
    chain.send(b"", to=chain.server.signer.address)

    chain.mine(CONFIRMATIONS + 1)
    minter.tick()
    minter.tick()
    confirm(minter, chain)

    assert [(kind, state) for _, kind, state in books.slots()] == [
        ("royalty", "final"),
        ("mint", "lost"),
        ("mint", "final"),
    ]
    assert sales.states(sold) == {"confirmed"}
    assert chain.tokens_of(BUYER) == 2


def test_a_node_that_lies_about_our_nonce_leaves_no_hole_and_no_second_token(
    sales: Sales, over_faulty_node: Minter, node: FaultyNode, chain: Chain, books: Books
) -> None:
    sold = sales.sell()
    minter = over_faulty_node
    minter.tick()
    chain.mine()
    node.always("eth_getTransactionCount", lie(hex(chain.nonce() + 2)))
    minter.tick()
    node.heal()

    for _ in range(3):
        minter.tick()
    confirm(minter, chain)

    assert sales.states(sold) == {"confirmed"}
    assert chain.tokens_of(BUYER) == 1
    assert [kind for _, kind, _ in books.slots()] == ["royalty", "fill", "fill", "mint"]
    assert chain.nonce() == books.slots()[-1][0] + 1
