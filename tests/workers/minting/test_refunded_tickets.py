"""A refunded ticket gets no token, or its token is voided once, or it stays with its owner, as its venue wants."""

from uuid import UUID

import psycopg
import pytest

from db.tenants.tenants import Tenant
from messages.ids import TicketId
from messages.money import Money
from messages.refunds import RefundRequested
from messages.token_ids import VOID_ADDRESS
from outbox.requests.refunds import request_refund
from tests.workers.minting.conftest import BUYER, Books, Chain, Sales, Sold, confirm, submit, until_confirmed, wants
from workers.minting.run import Minter
from workers.refunds.refund import refund


def test_a_refund_before_the_mint_cancels_it(sales: Sales, minter: Minter, chain: Chain, books: Books) -> None:
    sold = sales.sell(2)

    give_back(sales, sold, sold.tickets[:1])
    until_confirmed(minter, chain)

    states = [sales.mint_of(ticket).state.value for ticket in sold.tickets]
    assert states == ["canceled", "confirmed"]
    assert chain.tokens_of(BUYER) == 1


def test_a_refund_that_comes_before_the_tickets_are_queued_cancels_them_too(
    sales: Sales, minter: Minter, chain: Chain
) -> None:
    sold = sales.charge(2)
    give_back(sales, sold)

    sales.queue(sold)
    until_confirmed(minter, chain)

    assert sales.states(sold) == {"canceled"}
    assert chain.tokens_of(BUYER) == 0


@pytest.mark.parametrize("moment", ["submitted", "mined", "confirmed"])
def test_a_refunded_ticket_has_its_token_voided_once(
    sales: Sales, minter: Minter, chain: Chain, books: Books, moment: str
) -> None:
    sold = sales.sell(2)
    submit(minter, chain)
    if moment != "submitted":
        confirm(minter, chain) if moment == "confirmed" else (chain.mine(), minter.tick())
    assert sales.states(sold) == {moment}

    give_back(sales, sold, sold.tickets[:1])
    give_back(sales, sold, sold.tickets[:1])
    for _ in range(3):
        confirm(minter, chain)

    tokens = [sales.mint_of(ticket).token_id for ticket in sold.tickets]
    assert [sales.mint_of(ticket).state.value for ticket in sold.tickets] == ["voided", "confirmed"]
    assert [chain.owner_of(token) for token in tokens] == [VOID_ADDRESS, BUYER]
    assert [kind for _, kind, _ in books.slots()] == ["royalty", "mint", "void"]
    assert books.told() == ["ticket.minted", "ticket.minted", "ticket.voided"]


def test_a_venue_may_leave_the_tokens_of_refunded_tickets_to_their_owners(
    sales: Sales, minter: Minter, chain: Chain, owner: psycopg.Connection, tenant: Tenant
) -> None:
    wants(owner, tenant, refunded_tokens="leave")
    sold = sales.sell()
    until_confirmed(minter, chain)

    give_back(sales, sold)
    confirm(minter, chain)

    assert sales.states(sold) == {"confirmed"}
    assert chain.tokens_of(BUYER) == 1


def test_a_part_of_the_money_given_back_without_naming_a_ticket_leaves_all_tokens(
    sales: Sales, minter: Minter, chain: Chain
) -> None:
    sold = sales.sell(2)
    until_confirmed(minter, chain)

    give_back(sales, sold, minor=500)
    confirm(minter, chain)

    assert sales.states(sold) == {"confirmed"}


def give_back(sales: Sales, sold: Sold, tickets: list[UUID] | None = None, *, minor: int | None = None) -> None:
    """Asked for and done; the same tickets again are the same refund."""
    payment = sold.payment
    with sales.db.transaction(payment.tenant_id) as tx:
        asked = request_refund(
            tx,
            payment_id=payment.payment_id,
            amount=None if minor is None else Money(minor, payment.currency),
            ticket_ids=[TicketId(ticket) for ticket in tickets or []],
            reason="requested_by_customer",
            source="ops",
            request_key=f"{payment.payment_id}/{tickets}/{minor}",
            by="tests",
        )
    assert asked.refund is not None
    wanted = RefundRequested(
        tenant_id=payment.tenant_id, payment_id=payment.payment_id, refund_id=asked.refund.refund_id
    )
    refund(wanted, sales.db, sales.gateway)
