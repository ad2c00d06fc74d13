"""Which tickets become tokens, whose they are, and what a forgetful book or a second minter do to them."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from db.minting import signers
from db.minting.signers import LeaseLostError
from db.session import Database
from db.tenants.tenants import Tenant
from messages.token_ids import checksummed
from tests.workers.minting.conftest import (
    BUYER,
    CONFIRMATIONS,
    ROYALTY,
    Books,
    Chain,
    Sales,
    chain_settings,
    new_minter,
    until_confirmed,
    wants,
)
from tests.workers.shares.scenario import royalty
from workers.minting.chain import contract
from workers.minting.run import Minter

VENUE = checksummed("0x" + "c5" * 20)
OTHER = checksummed("0x" + "d7" * 20)


def test_the_same_payment_asked_for_many_times_at_once_is_minted_once(
    sales: Sales, minter: Minter, chain: Chain
) -> None:
    sold = sales.charge(3)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: sales.queue(sold), range(12)))
    until_confirmed(minter, chain)

    assert sales.states(sold) == {"confirmed"}
    assert chain.tokens_of(BUYER) == 3


def test_a_venue_that_does_not_mint_queues_nothing(
    sales: Sales, owner: psycopg.Connection, tenant: Tenant, books: Books
) -> None:
    wants(owner, tenant, mints="off")

    sold = sales.charge()

    assert owner.execute("SELECT count(*) FROM outbox WHERE kind = 'mint'").fetchone() == (0,)
    sales.queue(sold)
    assert owner.execute("SELECT count(*) FROM mints").fetchone() == (0,)


def test_a_paid_order_of_a_minting_venue_asks_for_its_tokens_with_the_success(
    sales: Sales, owner: psycopg.Connection
) -> None:
    sales.charge()

    assert owner.execute("SELECT count(*) FROM outbox WHERE kind = 'mint'").fetchone() == (1,)


def test_a_ticket_without_a_wallet_waits_until_its_venue_has_one_for_it(
    sales: Sales, minter: Minter, chain: Chain, owner: psycopg.Connection, tenant: Tenant
) -> None:
    sold = sales.sell(wallet=None)
    until_confirmed(minter, chain)
    assert sales.states(sold) == {"queued"}

    wants(owner, tenant, custodial_wallet=VENUE)
    until_confirmed(minter, chain)

    assert sales.states(sold) == {"confirmed"}
    assert chain.owner_of(sales.mint_of(sold.tickets[0]).token_id) == VENUE


def test_a_royalty_that_changes_is_set_anew_before_the_next_ticket_is_minted(
    sales: Sales, minter: Minter, chain: Chain, owner: psycopg.Connection, tenant: Tenant
) -> None:
    event = str(UUID(int=7))
    first = sales.sell(event_id=event)
    until_confirmed(minter, chain)

    wants(owner, tenant, royalty_receiver=OTHER, royalty_basis_points=1_000)
    second = sales.sell(event_id=event)
    until_confirmed(minter, chain)

    assert (sales.states(first), sales.states(second)) == ({"confirmed"}, {"confirmed"})
    assert chain.royalty_of(sales.mint_of(first.tickets[0]).token_id) == (OTHER, 1_000)


def test_the_chain_says_what_the_royalty_settings_of_resales_add_up_to(
    sales: Sales, minter: Minter, chain: Chain, owner: psycopg.Connection, tenant: Tenant
) -> None:
    venue, event = tenant.venues[0].venue_id, UUID(int=9)
    royalty(owner, tenant, venue, 600, sale="resale")
    royalty(owner, tenant, venue, 900, sale="primary")
    royalty(owner, tenant, venue, 400, sale="resale", event_id=event)

    usual, special = sales.sell(), sales.sell(event_id=str(event))
    until_confirmed(minter, chain)

    assert chain.royalty_of(sales.mint_of(usual.tickets[0]).token_id) == (ROYALTY, 600)
    assert chain.royalty_of(sales.mint_of(special.tickets[0]).token_id) == (ROYALTY, 400)


def test_an_event_without_a_royalty_needs_no_transaction_for_it(
    sales: Sales, minter: Minter, chain: Chain, owner: psycopg.Connection, tenant: Tenant, books: Books
) -> None:
    wants(owner, tenant, royalty_receiver=None, royalty_basis_points=0)
    sold = sales.sell()

    until_confirmed(minter, chain)

    assert sales.states(sold) == {"confirmed"}
    assert [kind for _, kind, _ in books.slots()] == ["mint"]
    assert chain.royalty_of(sales.mint_of(sold.tickets[0]).token_id)[1] == 0


def test_a_token_the_book_has_forgotten_is_found_and_not_minted_again(
    sales: Sales, minter: Minter, chain: Chain, books: Books
) -> None:
    """As after a restore: the ticket is queued, its token is on the chain, and our nonce is behind the chain's."""
    sold = sales.sell()
    minter.tick()
    chain.mine()
    chain.send(contract.mint_batch([BUYER], [sales.mint_of(sold.tickets[0]).token_id]))
    chain.mine()
    minter.tick()
    assert sales.states(sold) == {"queued"}  # too young to be believed

    chain.mine(CONFIRMATIONS)
    minter.tick()

    assert books.history(sold.tickets[0]) == ["queued", "confirmed"]
    assert [kind for _, kind, _ in books.slots()] == ["royalty"]
    later = sales.sell()
    until_confirmed(minter, chain)
    assert sales.states(later) == {"confirmed"}
    assert chain.tokens_of(BUYER) == 2


def test_a_token_that_belongs_to_somebody_else_is_no_token_of_this_ticket(
    sales: Sales, minter: Minter, chain: Chain, books: Books
) -> None:
    sold = sales.sell()
    minter.tick()
    chain.mine()
    chain.send(contract.mint_batch([OTHER], [sales.mint_of(sold.tickets[0]).token_id]))
    chain.mine(CONFIRMATIONS + 1)

    minter.tick()

    assert sales.states(sold) == {"failed"}
    assert sales.mint_of(sold.tickets[0]).state_reason == f"its token exists already and belongs to {OTHER}"
    assert books.told() == ["ticket.mint_failed"]


def test_one_minter_sends_and_the_next_takes_over_when_its_lease_is_over(
    db: Database, sales: Sales, chain: Chain
) -> None:
    first = new_minter(db, chain_settings(chain.server, chain_lease_seconds=60))
    second = new_minter(db, chain_settings(chain.server))
    sold = sales.sell()

    assert first.tick() is not None
    assert second.tick() is None
    first.retire()
    until_confirmed(second, chain)

    assert sales.states(sold) == {"confirmed"}


def test_who_slept_through_its_lease_can_take_no_nonce(db: Database, sales: Sales, chain: Chain) -> None:
    asleep = new_minter(db, chain_settings(chain.server, chain_lease_seconds=0.001))
    lease = asleep.tick()
    assert lease is not None
    assert new_minter(db, chain_settings(chain.server)).tick() is not None

    with pytest.raises(LeaseLostError), db.system_transaction() as tx:
        signers.take_nonce(tx, lease, 99)


def test_the_database_alone_refuses_a_second_token_for_a_ticket(
    sales: Sales, db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    sold = sales.sell()

    with pytest.raises(psycopg.errors.UniqueViolation):
        owner.execute(
            "INSERT INTO mints (tenant_id, ticket_id, payment_id, order_id, event_id, venue_id, token_id, state_by) "
            "SELECT tenant_id, ticket_id, payment_id, order_id, event_id, venue_id, '0x' || repeat('0', 64), 'test' "
            "FROM mints WHERE ticket_id = %s",
            [sold.tickets[0]],
        )
    with pytest.raises(psycopg.errors.RestrictViolation, match="what was paid for cannot change"):
        owner.execute("UPDATE mints SET token_id = '0x' || repeat('0', 64)")
    with pytest.raises(psycopg.errors.RestrictViolation, match="already goes to"):
        owner.execute("UPDATE mints SET to_address = %s", [OTHER])
    with pytest.raises(psycopg.errors.RestrictViolation, match="queued -> voided is not a legal move"):
        owner.execute("UPDATE mints SET state = 'voided'")
