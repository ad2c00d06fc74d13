"""Mints a second from queued row to confirmed token, and the gas a ticket costs, alone and in batches of a hundred.

The chain is anvil with a block each second and three confirmations, so that a part of every figure is waiting for
blocks. Each ticket goes to a wallet that owned nothing before, which is the dear case.
"""

import time
from pathlib import Path
from threading import Event
from uuid import uuid4

from pydantic import SecretStr

from db.minting import mints, series
from db.minting.mints import NewMint
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.bench import cpu, orders
from deploy.local.bench.ground import Book, Ground, register_tenant
from deploy.local.scenario.minting import wallet
from deploy.local.stack.chain import CHAIN_ID, Chain
from messages.ids import OrderId, PaymentId, TicketId
from messages.runtime.settings import AppEnv
from messages.token_ids import series_of, token_id_of
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from workers.minting import run
from workers.minting.settings import ChainSettings

LONGEST_SECONDS = 300.0


def measure(ground: Ground) -> None:
    if not ground.stack.chain.is_there:
        print("no chain on this machine: mints are not measured", flush=True)
        return
    alone, together = (20, 300) if ground.quick else (60, 2_000)
    for _ in range(ground.passes):
        seconds, gas, _ = _mint(ground, alone, batch=1)
        ground.results.add("mints, one by one", alone / seconds)
        ground.results.add("gas for a ticket, one by one", gas)
        seconds, gas, busy = _mint(ground, together, batch=100)
        ground.results.add("mints, batches of 100", together / seconds)
        ground.results.add("gas for a ticket, batches of 100", gas)
        ground.results.add("mint CPU, batches of 100", busy * 1_000 / together)


def _mint(ground: Ground, tickets: int, *, batch: int) -> tuple[float, float, float]:
    """(seconds until the last is confirmed, gas for a ticket, CPU seconds of the minter)."""
    with ground.book() as book, book.opened() as db:
        _queue(db, register_tenant(book), tickets)
        minter = run.of_settings(db, _settings(ground.stack.chain, batch), Event())
        started, busy = time.monotonic(), 0.0
        while _confirmed(book) < tickets:
            assert time.monotonic() - started < LONGEST_SECONDS, "the chain takes no more mints"
            before = cpu.own_seconds()
            minter.tick()
            busy += cpu.own_seconds() - before
            time.sleep(0.1)
        return time.monotonic() - started, _gas(book) / tickets, busy


def _queue(db: Database, tenant: Tenant, tickets: int) -> None:
    """Straight into the table of mints: how an order becomes such rows is no part of these figures."""
    accept(db, [IncomingEvent(orders.events(tenant, 1)[0])])
    event_id, venue_id = uuid4(), tenant.venues[0].venue_id
    name = series_of(tenant.tenant_id, event_id)
    ids = [TicketId(uuid4()) for _ in range(tickets)]
    new = [NewMint(ticket, token_id_of(name, ticket), wallet(str(ticket))) for ticket in ids]
    with db.transaction(tenant.tenant_id) as tx:
        row = tx.execute("SELECT payment_id, order_id FROM payments").fetchone()
        assert row is not None, "the order was accepted a moment ago"
        series.ensure(tx, event_id=event_id, venue_id=venue_id, series=name)
        paid = {"payment_id": PaymentId(row[0]), "order_id": OrderId(row[1])}
        mints.request(tx, **paid, event_id=event_id, venue_id=venue_id, new=new, by="bench")  # type: ignore[arg-type]


def _settings(chain: Chain, batch: int) -> ChainSettings:
    return ChainSettings(
        app_env=AppEnv.LOCAL,
        chain_rpc_urls=SecretStr(chain.url),
        chain_id=CHAIN_ID,
        chain_contract=chain.contract,
        chain_signer_key_file=Path(chain.key_file),
        chain_confirmations=3,
        chain_batch=batch,
    )


def _confirmed(book: Book) -> int:
    return _one(book, "SELECT count(*) FROM mints WHERE state = 'confirmed'")


def _gas(book: Book) -> int:
    return _one(book, "SELECT sum(gas_used) FROM slots WHERE kind = 'mint'")


def _one(book: Book, statement: str) -> int:
    with book.owner() as owner:
        row = owner.execute(statement.encode()).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return int(str(row[0]))
