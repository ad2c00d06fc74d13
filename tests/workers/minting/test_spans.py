"""What the minter does for a token is seen in the trace of its payment, phase by phase, with what went wrong."""

from collections.abc import Iterator

import psycopg
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from db.session import Database
from messages.runtime import trace
from outbox.process import tracing
from tests.workers.minting.conftest import (
    Chain,
    Sales,
    Sold,
    chain_settings,
    confirm,
    new_minter,
    submit,
    until_confirmed,
    while_the_contract_reverts,
)
from workers.minting.run import Minter

TRACE = "ab" * 16
PHASES = ["wait for the minter", "send mint", "wait for a block", "confirm mint"]


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
    other = "cd" * 16
    asked = {TRACE: _sell(sales, TRACE, 2)[1], other: _sell(sales, other, 1)[1]}
    before = sales.sell()
    owner.execute("UPDATE mints SET trace_id = NULL, span_id = NULL WHERE payment_id = %s", [before.payment.payment_id])

    until_confirmed(minter, chain)

    assert sales.states(before) == {"confirmed"}
    for trace_id, tickets in ((TRACE, 2), (other, 1)):
        mine = _phases(spans, trace_id)
        assert list(mine) == PHASES
        assert {f"{span.parent.span_id:016x}" for span in mine.values() if span.parent} == {asked[trace_id]}
        told = owner.execute(
            "SELECT convert_from(body, 'UTF8')::jsonb ->> 'traceparent' FROM outbox WHERE kind = 'ticket.minted'"
        ).fetchall()
        confirmed = f"00-{trace_id}-{mine['confirm mint'].context.span_id:016x}-01"
        assert [header for (header,) in told].count(confirmed) == tickets


def test_a_stuck_transaction_and_the_dearer_one_in_its_place_are_seen(
    db: Database, sales: Sales, chain: Chain, spans: InMemorySpanExporter
) -> None:
    _sell(sales, TRACE, 1)
    patient = new_minter(db, chain_settings(chain.server))
    submit(patient, chain)
    patient.retire()
    impatient = new_minter(db, chain_settings(chain.server, chain_stuck_seconds=0.001))

    impatient.tick()
    confirm(impatient, chain)

    mine = _phases(spans, TRACE)
    assert list(mine) == [PHASES[0], PHASES[1], "replace mint", PHASES[2], PHASES[3]]
    first, second = (mine[name].attributes or {} for name in ("send mint", "replace mint"))
    assert (second["fleet.replaced"], second["fleet.nonce"]) == (first["fleet.transaction"], first["fleet.nonce"])


def test_a_transaction_that_reverts_and_a_block_that_is_reorganised_away_fail_their_spans(
    sales: Sales, minter: Minter, chain: Chain, spans: InMemorySpanExporter
) -> None:
    _sell(sales, TRACE, 1)
    submit(minter, chain)
    while_the_contract_reverts(chain)
    minter.tick()  # it is seen, and sent anew
    chain.mine()
    minter.tick()
    chain.reorganise(1)
    minter.tick()
    confirm(minter, chain)

    failed = [
        (span.name, span.status.description)
        for span in spans.get_finished_spans()
        if f"{span.context.trace_id:032x}" == TRACE and not span.status.is_ok and span.status.description
    ]
    assert failed == [("wait for a block", "reverted"), ("reorganise mint", "reorganised")]


def _sell(sales: Sales, trace_id: str, tickets: int) -> tuple[Sold, str | None]:
    """A paid order whose tokens are asked for in this trace, and the span that asks."""
    sold = sales.charge(tickets)
    with trace.following(trace_id), trace.span("ask") as span:
        sales.queue(sold)
    return sold, span.span_id


def _phases(spans: InMemorySpanExporter, trace_id: str) -> dict[str, ReadableSpan]:
    """The minter's spans of a trace by name, in the order of their ends."""
    mine = [span for span in spans.get_finished_spans() if f"{span.context.trace_id:032x}" == trace_id]
    return {span.name: span for span in mine if span.name != "ask"}
