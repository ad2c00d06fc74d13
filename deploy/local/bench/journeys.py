"""Whole payments through the whole fleet: order event over AMQP, charged at the emulator, confirmed by its webhook.

A pass publishes its orders at once and ends when every payment has succeeded, every webhook event of them is drained,
and the outbox is empty. The emulator's CPU is Stripe's, not ours, and stands apart.
"""

import time

import psycopg

from db.tenants.tenants import Tenant
from deploy.local.bench import fleet, orders, webhooks
from deploy.local.bench.cpu import Meter
from deploy.local.bench.fleet import EMULATOR, Fleet
from deploy.local.bench.ground import Ground, register_tenant
from deploy.local.bench.measures import PARTS
from messages.queues import ORDERS_EXCHANGE
from outbox.broker.publisher import Outgoing, Publisher

SLOWEST_PER_SECOND = 10  # a pass that takes longer than at this rate is given up
# Asked ten times a second, so it reads only what is left; counting what is done cost 0.4 ms of PostgreSQL a payment.
_LEFT = """
    SELECT
        (SELECT count(*) FROM payments WHERE state IN ('requested', 'charging', 'requires_action', 'processing')),
        (SELECT count(*) FROM webhook_inbox WHERE state IN ('pending', 'unmatched')),
        (SELECT count(*) FROM outbox)
"""
_DONE = """
    SELECT
        (SELECT count(*) FROM payments WHERE state = 'succeeded'),
        (SELECT count(*) FROM webhook_inbox WHERE event_type = 'payment_intent.succeeded' AND state = 'applied')
"""


def measure(ground: Ground) -> None:
    warm, count = (50, 150) if ground.quick else (100, 400)
    with ground.book() as book, fleet.standing(ground, book) as standing:
        tenant = register_tenant(book)
        settle(ground, standing, tenant, warm, so_far=0)
        for position in range(ground.passes):
            ground.settle()
            _pass(ground, standing, tenant, count, so_far=warm + position * count)
        webhooks.measure(ground, standing)


def _pass(ground: Ground, standing: Fleet, tenant: Tenant, count: int, *, so_far: int) -> None:
    clocks = standing.clocks(ground)
    meter = Meter(**clocks)
    with meter.running():
        settle(ground, standing, tenant, count, so_far=so_far)
    ground.results.add("payments", count / meter.seconds)
    ours = sum(seconds for part, seconds in meter.cpu.items() if part != EMULATOR)
    ground.results.add("payment CPU, all of ours", ours / count * 1e3)
    for part in PARTS:
        ground.results.add(f"payment CPU, {part}", meter.cpu[part] / count * 1e3)


def settle(ground: Ground, standing: Fleet, tenant: Tenant, count: int, *, so_far: int) -> None:
    """Publish `count` orders and wait until nothing of them is under way any more."""
    publisher = Publisher(ground.stack.rabbitmq.url)
    publisher.publish([Outgoing(ORDERS_EXCHANGE, "order.placed", "", body) for body in orders.events(tenant, count)])
    publisher.close()
    deadline = time.monotonic() + 10 + count / SLOWEST_PER_SECOND
    with standing.book.owner() as owner:
        while (left := owner.execute(_LEFT).fetchone()) != (0, 0, 0) or not _all_done(owner, so_far + count):
            standing.require_alive()
            assert time.monotonic() < deadline, f"payments, webhooks and outbox rows that are left: {left}"
            time.sleep(0.1)


def _all_done(owner: psycopg.Connection[tuple[object, ...]], count: int) -> bool:
    return owner.execute(_DONE).fetchone() == (count, count)
