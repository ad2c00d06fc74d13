"""A paid ticket becomes one token on a real chain, and the book follows it there step by step."""

from collections.abc import Iterator

import psycopg
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from db import gauges
from db.session import Database
from messages import trace
from outbox import tracing
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


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What is recorded, by the SDK itself."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=tracing._our_ids())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.record_with(tracing._Recorder(provider.get_tracer("test")))
    yield exporter
    trace.record_with(None)


def test_the_trace_of_a_payment_goes_on_to_its_token_and_to_what_is_told_of_it(
    sales: Sales, minter: Minter, chain: Chain, owner: psycopg.Connection, spans: InMemorySpanExporter
) -> None:
    one, other = "ab" * 16, "cd" * 16
    for trace_id, tickets in ((one, 2), (other, 1)):
        sold = sales.charge(tickets)
        with trace.following(trace_id):
            sales.queue(sold)
    sold = sales.charge(1)
    sales.queue(sold)
    owner.execute("UPDATE mints SET trace_id = NULL WHERE payment_id = %s", [sold.payment.payment_id])  # as of before

    until_confirmed(minter, chain)

    assert sales.states(sold) == {"confirmed"}
    for trace_id, tickets in ((one, 2), (other, 1)):
        mine = {span.name: span for span in spans.get_finished_spans() if f"{span.context.trace_id:032x}" == trace_id}
        assert set(mine) == {"send mint", "confirm mint"}
        told = owner.execute(
            "SELECT convert_from(body, 'UTF8')::jsonb ->> 'traceparent' FROM outbox WHERE kind = 'ticket.minted'"
        ).fetchall()
        confirmed = f"00-{trace_id}-{mine['confirm mint'].context.span_id:016x}-01"
        assert [header for (header,) in told].count(confirmed) == tickets
