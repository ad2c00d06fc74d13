"""`fleet demo`: bring the fleet up, hold an on-sale, watch it, wait until it is quiet, verify, and say where to look.

Stripe's faults and the poison come from the seed; the faults end when the sale does, so that what they broke can heal.
Tickets are sold again as well, and everybody gets a share: at once, or when the event is over; then some buyers get
their money back, and each share comes back in proportion, or is owed by who has spent it.
The exit code is 0 only when verify is clean and nothing is left waiting.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from rich.console import Console

from db.monitoring import overview
from db.session import Database
from db.settings import DatabaseSettings
from db.shares import verify as share_verify
from db.tenants import tenants
from deploy.local.proofs.day.order_service import wish
from deploy.local.proofs.demo import sale, tokens
from deploy.local.proofs.demo.live import LiveView
from deploy.local.proofs.demo.order_service import OrderService
from deploy.local.proofs.demo.sale import Publication
from deploy.local.proofs.shares import story
from deploy.local.proofs.shares.market import Market, open_market
from deploy.local.stack.ownership import owner_of
from deploy.local.stack.stack import Stack
from deploy.local.stack.up import down, up
from deploy.local.stripe.control import EmulatorControl
from deploy.report import print_report, wide_console
from messages.orders import RefundOfOrderRequested
from messages.runtime.settings import load
from messages.shares import EscrowDue
from outbox.append import append
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings
from workers.minting.settings import ContractSettings
from workers.verify.verify import OrderServiceLog, verify

QUIET_SECONDS = 90.0
SELLERS = 12
RESOLD = 8  # one resale for so many orders
WANTED_BACK = 3  # of each venue, after the sale


_AT_STRIPE: list[tuple[str, float, dict[str, Any]]] = [
    ("drop_after", 0.01, {}),
    ("drop_before", 0.01, {}),
    ("error_with_effect", 0.01, {}),
    ("rate_limit", 0.01, {"reason": "endpoint-rate"}),
    ("latency", 0.02, {"min_seconds": 0.2, "max_seconds": 1.5}),
]
_ON_WEBHOOKS: list[tuple[str, float, dict[str, Any]]] = [
    ("webhook_duplicate", 0.03, {"copies": 3}),
    ("webhook_shuffle", 0.05, {"seconds": 3}),
    ("webhook_wrong_signature", 0.01, {}),
]


@dataclass(frozen=True, slots=True)
class Plan:
    orders: int
    rate: float
    seed: int
    faults: bool
    keep: bool


def demo(plan: Plan) -> int:
    console = wide_console()
    stack = Stack()
    was_up = owner_of(stack.directory) is not None
    # What was charged is available at once, so that an account has something to spend.
    os.environ.setdefault("STRIPE_EMULATOR_FUNDS_DELAY_SECONDS", "1")
    if not was_up and (failed := up({}, detach=True)) != 0:
        return failed
    try:
        if not stack.uses_emulator:
            console.print("The demo plays with the Stripe emulator only, and STRIPE_API_BASE names another server.")
            return 78
        return _hold(plan, stack, console)
    finally:
        if not (plan.keep or was_up):
            down()


def _hold(plan: Plan, stack: Stack, console: Console) -> int:
    os.environ.update(stack.environment())
    database, stripe_settings, contract = load(DatabaseSettings, StripeSettings, ContractSettings)
    db = Database(database, application="fleet-demo")
    log = stack.order_log
    with psycopg.connect(stack.environment()["MIGRATION_DATABASE_URL"], autocommit=True) as owner:
        tenants.register(owner, sale.tenants())
        tokens.let_venues_mint(owner)
        market = open_market(owner, _control_of(stack), sale.tenants(), sellers=SELLERS)
    broker_url = stack.environment()["RABBITMQ_URL"]
    with _faults(_control_of(stack), plan) as control:
        _sell(plan, console, db, OrderService(broker_url, log, control, plan.seed), market, control)
    tokens.wait_until_minted(console, db, stack)
    report = verify(db, Gateway(stripe_settings), broker_url, OrderServiceLog.read(log), contract)
    tokens.show_some(console, db, stack)
    db.close()
    print_report(console, report)
    _say_where_to_look(console, plan, stack)
    return 0 if report.clean and (report.quiet or tokens.only_tokens_wait(report, stack)) else 1


def _sell(
    plan: Plan, console: Console, db: Database, service: OrderService, market: Market, control: EmulatorControl
) -> None:
    title = f"payment fleet: an on-sale of {plan.orders} orders, {plan.rate:g}/s, seed {plan.seed}"
    with service, LiveView(console, title) as view:
        run = uuid4().hex
        first = list(sale.publications(orders=plan.orders, seed=plan.seed, run=run))
        again = story.resales(first, market, resales=plan.orders // RESOLD, seed=plan.seed, run=run)
        service.publish_now(story.schedule(market))
        for _ in service.publish([*first, *again], rate=plan.rate):
            _draw(view, "on sale", db, service)
        control.clear_faults()
        _wait(view, db, service)
        control.pay_out(market.accounts[-1])  # an artist spends what it got
        service.publish_now(_wanted_back(db))
        with db.system_transaction() as tx:
            append(tx, EscrowDue(due_at=datetime.now(UTC)))
        _wait(view, db, service)


def _wait(view: LiveView, db: Database, service: OrderService) -> None:
    deadline = time.monotonic() + QUIET_SECONDS
    while not _is_quiet(view, db, service) and time.monotonic() < deadline:
        time.sleep(0.1)


def _wanted_back(db: Database) -> list[Publication]:
    """Of each venue a few buyers want everything back, of sales whose shares were paid on."""
    with db.system_transaction() as tx:
        rows = tx.execute(
            """
            SELECT tenant_id, order_id FROM (
                SELECT p.tenant_id, p.order_id, row_number() OVER (PARTITION BY p.venue_id ORDER BY p.created_at DESC)
                FROM payments p
                WHERE p.state = 'succeeded' AND EXISTS (
                    SELECT FROM transfers t WHERE t.payment_id = p.payment_id AND t.state = 'paid')
            ) AS paid WHERE row_number <= %(each)s
            """,
            {"each": WANTED_BACK},
        ).fetchall()
    return [
        wish(RefundOfOrderRequested.event_type, {"tenant_id": str(tenant), "order_id": str(order)}, "demo")
        for tenant, order in rows
    ]


def _draw(view: LiveView, phase: str, db: Database, service: OrderService) -> None:
    if view.is_due:
        with db.system_transaction() as tx:
            totals, glance = overview.totals(tx), overview.glance(tx)
        view.show(phase, service.published, service.told, totals, glance)


def _is_quiet(view: LiveView, db: Database, service: OrderService) -> bool:
    """Every payment has come to rest, every event is applied, the outbox is empty, and this holds for two seconds."""
    held_since = time.monotonic()
    while time.monotonic() - held_since < 2.0:
        _draw(view, "settling", db, service)
        with db.system_transaction() as tx:
            moving = sum(total.payments for total in overview.totals(tx) if total.state in {"requested", "charging"})
            moving += share_verify.moving(tx)
            glance = overview.glance(tx)
        if moving or glance.events_waiting or glance.outbox_due or glance.outbox_waiting:
            return False
        time.sleep(0.2)
    return True


@contextmanager
def _faults(control: EmulatorControl, plan: Plan) -> Iterator[EmulatorControl]:
    """What goes wrong at Stripe during the sale: about one call in twenty, and one webhook in ten."""
    if plan.faults:
        for effect, probability, details in _AT_STRIPE:
            control.add_fault(effect, method="POST", path="/v1/payment_intents*", probability=probability, **details)
        for effect, probability, details in _ON_WEBHOOKS:
            control.add_fault(effect, probability=probability, **details)
    try:
        yield control
    finally:
        control.clear_faults()


def _control_of(stack: Stack) -> EmulatorControl:
    environment = stack.environment()
    address = f"http://127.0.0.1:{environment['STRIPE_EMULATOR_CONTROL_PORT']}"
    return EmulatorControl(address, environment["STRIPE_EMULATOR_CONTROL_TOKEN"])


def _say_where_to_look(console: Console, plan: Plan, stack: Stack) -> None:
    environment = stack.environment()
    intake = f"http://{environment['INTAKE_HTTP_HOST']}:{environment['INTAKE_HTTP_PORT']}"
    console.print(f"\nhealth    {intake}/health/ready\nmetrics   {intake}/metrics")
    console.print(f"emulator  {environment['STRIPE_API_BASE']}/_emulator/capabilities")
    if plan.keep:
        console.print("It goes on running: `.venv/bin/fleet --local verify` looks again, `make down` stops it.")
