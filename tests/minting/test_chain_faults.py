"""FAULTS 35 and its relatives: whatever the nodes say, lose or invent, a ticket has one token and no nonce is missing.

Each test drives the chain from its own thread: nothing is mined that it did not ask for.
"""

from itertools import pairwise

import psycopg
import pytest
from loguru import logger
from prometheus_client import Gauge

from db.session import Database
from deploy.local.chain import CHAIN_ID
from deploy.local.mints.faulty_node import (
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
from messages.settings import SettingsError
from outbox.metrics import CHAIN_BALANCE, CHAIN_LOW_BALANCE, MINTS_HELD_UP
from tests.minting.conftest import (
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

REVERTS = "0x60006000fd"


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


def test_a_transaction_that_reverts_on_the_chain_costs_a_try_and_is_sent_anew(
    sales: Sales, minter: Minter, chain: Chain, books: Books
) -> None:
    sold = sales.sell()
    submit(minter, chain)
    _while_the_contract_reverts(chain)

    minter.tick()
    assert [(kind, state) for _, kind, state in books.slots()][-2:] == [("mint", "reverted"), ("mint", "open")]
    assert sales.mint_of(sold.tickets[0]).tries == 1
    confirm(minter, chain)

    assert sales.states(sold) == {"confirmed"}
    assert chain.tokens_of(BUYER) == 1


def test_a_ticket_whose_transactions_always_revert_fails_and_a_person_can_have_it_tried_again(
    sales: Sales, minter: Minter, chain: Chain, books: Books
) -> None:
    sold = sales.sell()
    submit(minter, chain)
    for _ in range(5):
        _while_the_contract_reverts(chain)
        minter.tick()

    assert sales.states(sold) == {"failed"}
    assert books.told() == ["ticket.mint_failed"]
    sales.retry(sold.tickets[0])
    until_confirmed(minter, chain)
    assert sales.states(sold) == {"confirmed"}


def test_a_lost_role_makes_all_mints_wait_and_its_return_lets_them_go(
    sales: Sales, minter: Minter, chain: Chain, books: Books
) -> None:
    sold = sales.sell()
    minter.tick()
    chain.mine()
    chain.administer("d547741f")  # revokeRole(bytes32,address)

    minter.tick()

    assert books.waits() == ["the signer has lost the contract's minter role"]
    assert sales.states(sold) == {"queued"}
    chain.administer("2f2ff15d")  # grantRole(bytes32,address)
    until_confirmed(minter, chain)
    assert (sales.states(sold), books.waits()) == ({"confirmed"}, [])


def test_nothing_is_sent_to_a_chain_that_has_another_contract_or_none(
    sales: Sales, minter: Minter, chain: Chain, books: Books
) -> None:
    minter.tick()  # the chain is met
    sold = sales.sell()
    code = chain.rpc("eth_getCode", chain.server.contract, "latest")

    for other, word in (("0x", "there is no contract at"), (REVERTS, "this is not the chain we know: code_hash was")):
        chain.rpc("anvil_setCode", chain.server.contract, other)
        minter.tick()
        assert books.waits()[0].startswith(word)

    assert (sales.states(sold), books.slots()) == ({"queued"}, [])
    chain.rpc("anvil_setCode", chain.server.contract, code)
    until_confirmed(minter, chain)
    assert sales.states(sold) == {"confirmed"}


def test_a_chain_that_was_wiped_is_another_chain(
    sales: Sales, minter: Minter, books: Books, owner: psycopg.Connection
) -> None:
    minter.tick()
    owner.execute("UPDATE chains SET genesis_hash = %s", ["0x" + "ab" * 32])
    sales.sell()

    minter.tick()

    assert books.waits()[0].startswith("this is not the chain we know: genesis_hash was 0xabab")
    assert books.slots() == []


def test_the_alarm_goes_off_before_the_signer_has_nothing_left_and_mints_wait_when_it_has(
    sales: Sales, minter: Minter, chain: Chain, books: Books
) -> None:
    signer = chain.server.signer.address
    chain.rpc("anvil_setBalance", signer, hex(10**16))  # below the alarm of 0.05 ether
    lines: list[str] = []
    watching = logger.add(lines.append, level="ERROR", format="{message}")
    minter.tick()
    logger.remove(watching)
    assert lines == [f"the signer {signer} has only 1e+07 gwei left: fund it\n"]
    assert shown(CHAIN_BALANCE) < shown(CHAIN_LOW_BALANCE) == 5e7  # FleetMinterLowOnFunds

    chain.rpc("anvil_setBalance", signer, hex(1))
    sold = sales.sell()
    minter.tick()

    assert books.waits() == [f"the signer {signer} has not enough funds"]
    assert shown(MINTS_HELD_UP) == 1
    chain.rpc("anvil_setBalance", signer, hex(10**22))
    until_confirmed(minter, chain)
    confirm(minter, chain)
    assert (sales.states(sold), chain.tokens_of(BUYER), books.waits()) == ({"confirmed"}, 1, [])
    assert shown(MINTS_HELD_UP) == 0


def test_a_minter_that_lost_its_lease_does_not_go_on_saying_that_mints_are_held_up(
    db: Database, chain: Chain, minter: Minter
) -> None:
    assert minter.tick() is not None
    other = new_minter(db, chain_settings(chain.server))
    MINTS_HELD_UP.set(1)

    assert other.tick() is None

    assert shown(MINTS_HELD_UP) == 0


def shown(gauge: Gauge) -> float:
    (metric,) = gauge.collect()
    return metric.samples[0].value


def test_the_node_of_another_chain_stops_the_start(db: Database, chain: Chain) -> None:
    with pytest.raises(SettingsError, match=f"CHAIN_ID is 1, and the nodes are of chain {CHAIN_ID}"):
        new_minter(db, chain_settings(chain.server, chain_id=1))


def _while_the_contract_reverts(chain: Chain) -> None:
    """One block in which every call of the contract reverts, as when a role is lost between sending and mining."""
    code = chain.rpc("eth_getCode", chain.server.contract, "latest")
    chain.rpc("anvil_setCode", chain.server.contract, REVERTS)
    chain.mine()
    chain.rpc("anvil_setCode", chain.server.contract, code)
