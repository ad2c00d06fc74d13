"""What people are shown of mints, and what they can ask for; and what the checker says of tickets, book and chain."""

from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest

from db.session import Database
from db.tenants.tenants import Tenant
from stripe_client.gateway import Gateway
from tests.outbox.ops.conftest import Answer, fleet
from tests.workers.minting.conftest import BUYER, Books, Chain, Sales, chain_settings, submit, until_confirmed, wants
from workers.minting.chain import contract
from workers.minting.run import Minter
from workers.verify.report import Report
from workers.verify.verify import OrderServiceLog, verify

__all__ = ["fleet"]  # a fixture
Fleet = Callable[..., Answer]
Check = Callable[[], Report]


def test_a_ticket_is_shown_with_its_token_its_transaction_and_every_move(
    sales: Sales, minter: Minter, chain: Chain, fleet: Fleet
) -> None:
    sold = sales.sell()
    until_confirmed(minter, chain)

    shown = fleet("mint", "show", sold.tickets[0], "--json").json

    assert (shown["state"], shown["to_address"]) == ("confirmed", BUYER)
    assert [move["to_state"] for move in shown["history"]] == ["queued", "submitted", "mined", "confirmed"]
    assert [(each["kind"], each["state"]) for each in shown["transactions"]] == [("mint", "final")]
    words = fleet("mint", "show", sold.tickets[0]).out
    for piece in (shown["token_id"], BUYER, "confirmed", shown["transactions"][0]["tx_hash"]):
        assert piece in words
    assert "token mined -> confirmed" in fleet("payment", "show", sold.payment.payment_id).out


def test_the_list_says_what_each_ticket_waits_for_and_what_holds_all_of_them_up(
    sales: Sales, minter: Minter, chain: Chain, fleet: Fleet
) -> None:
    sales.sell(wallet=None)
    sales.sell()
    chain.administer("d547741f")  # the minter's role is taken away
    minter.tick()

    listed = fleet("mint", "list", "--state", "queued", "--json").json

    assert sorted(line["why"] for line in listed["mints"]) == [
        "no wallet: the buyer named none, and the venue keeps none for its buyers",
        "the signer has lost the contract's minter role",
    ]
    assert list(listed["waits"].values()) == ["the signer has lost the contract's minter role"]
    assert "Minting has stopped for signer 0x" in fleet("mint", "list").err


def test_a_failed_mint_is_retried_by_a_person_who_says_why(
    sales: Sales, owner: psycopg.Connection, fleet: Fleet, chain: Chain
) -> None:
    ticket = sales.sell().tickets[0]
    assert fleet("mint", "retry", ticket, "--reason", "why not").code == 1
    owner.execute("UPDATE mints SET state = 'failed', state_reason = 'a test'")

    assert fleet("mint", "retry", ticket).code == 2
    assert fleet("mint", "retry", uuid4(), "--reason", "put right").code == 1
    assert fleet("mint", "retry", ticket, "--reason", "put right").code == 0

    assert owner.execute("SELECT count(*) FROM outbox WHERE kind = 'mint_retry'").fetchone() == (1,)
    assert "mint_retry" in fleet("ops", "log").out
    sales.retry(ticket)
    assert sales.mint_of(ticket).state.value == "queued"


@pytest.fixture
def check(db: Database, gateway: Gateway, rabbitmq_url: str, chain: Chain) -> Check:
    def one() -> Report:
        return verify(db, gateway, rabbitmq_url, OrderServiceLog.read(None), chain_settings(chain.server))

    return one


def test_the_checker_finds_each_paid_ticket_in_the_book_and_on_the_chain(
    sales: Sales, minter: Minter, chain: Chain, check: Check, owner: psycopg.Connection
) -> None:
    sales.sell(2)
    assert (check().kinds["tickets to mint"].waiting, check().kinds["tokens"].attempted) == (2, 0)
    until_confirmed(minter, chain)

    report = check()

    assert report.clean, report.findings
    tickets, tokens = report.kinds["tickets to mint"], report.kinds["tokens"]
    assert (tickets.attempted, tickets.done, tokens.attempted, tokens.done) == (2, 2, 2, 2)


def test_the_checker_misses_a_ticket_that_was_paid_and_never_queued(
    sales: Sales, check: Check, owner: psycopg.Connection
) -> None:
    sold = sales.charge()
    owner.execute("DELETE FROM outbox")

    report = check()

    assert report.findings == [f"ticket {sold.tickets[0]} was paid but has no mint"]
    assert not report.clean


def test_what_was_paid_before_the_venue_minted_is_not_missed(
    sales: Sales, check: Check, owner: psycopg.Connection, tenant: Tenant
) -> None:
    wants(owner, tenant, mints="off")
    sales.charge()
    owner.execute("DELETE FROM outbox")

    wants(owner, tenant)

    assert "tickets to mint" not in check().kinds


def test_the_checker_misses_a_token_that_is_not_on_the_chain_and_sees_one_that_should_not_be(
    sales: Sales, minter: Minter, chain: Chain, check: Check, owner: psycopg.Connection
) -> None:
    sold = sales.sell(2)
    submit(minter, chain)
    lost, extra = sold.tickets
    owner.execute("UPDATE mints SET state = 'mined' WHERE ticket_id = %s", [lost])
    owner.execute("UPDATE mints SET state = 'confirmed' WHERE ticket_id = %s", [lost])
    owner.execute("UPDATE mints SET state = 'failed' WHERE ticket_id = %s", [extra])
    chain.rpc("anvil_dropAllTransactions")
    chain.send(contract.mint_batch([BUYER], [sales.mint_of(extra).token_id]))
    chain.mine()

    findings = set(check().findings)

    assert findings == {
        f"ticket {lost} is confirmed, but its token does not exist",
        f"ticket {extra} is failed, but its token belongs to {BUYER}",
    }


def test_the_checker_says_when_a_royalty_on_the_chain_is_another(
    sales: Sales, minter: Minter, chain: Chain, check: Check, owner: psycopg.Connection
) -> None:
    sales.sell()
    until_confirmed(minter, chain)
    owner.execute("UPDATE series SET wanted_basis_points = 900")

    assert ["750 bps" in finding for finding in check().findings] == [True]


def test_a_books_letter_of_the_chain_is_never_written_by_hand(books: Books, owner: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        owner.execute("DELETE FROM slots")
