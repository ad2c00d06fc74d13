"""A contract that refuses, another chain, an empty purse: mints wait or fail, and the book says why."""

import psycopg
import pytest
from loguru import logger
from prometheus_client import Gauge

from db.session import Database
from deploy.local.stack.chain import CHAIN_ID
from messages.runtime.settings import SettingsError
from outbox.process.metrics import CHAIN_BALANCE, CHAIN_LOW_BALANCE, MINTS_HELD_UP
from tests.workers.minting.conftest import (
    BUYER,
    REVERTS,
    Books,
    Chain,
    Sales,
    chain_settings,
    confirm,
    new_minter,
    submit,
    until_confirmed,
    while_the_contract_reverts,
)
from workers.minting.run import Minter


def test_a_transaction_that_reverts_on_the_chain_costs_a_try_and_is_sent_anew(
    sales: Sales, minter: Minter, chain: Chain, books: Books
) -> None:
    sold = sales.sell()
    submit(minter, chain)
    while_the_contract_reverts(chain)

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
        while_the_contract_reverts(chain)
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
    watching = logger.add(lines.append, level="ERROR", format="{message} {extra[signer]}")
    minter.tick()
    logger.remove(watching)
    assert lines == [f"signer balance is low, 1e+07 gwei left: fund it {signer}\n"]
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
