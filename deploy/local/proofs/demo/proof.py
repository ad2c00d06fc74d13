"""`fleet prove demo`: bring the fleet up, hold an on-sale, watch it, wait until it is quiet, and verify.

Stripe's faults and the poison come from the seed; the faults end when the sale does, so that what they broke can heal.
Tickets are sold again as well, and everybody gets a share: at once, or when the event is over; then some buyers get
their money back, and each share comes back in proportion, or is owed by who has spent it.
The exit code is 0 only when verify is clean and nothing is left waiting.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from db.monitoring import overview
from db.shares import verify as share_verify
from deploy.local.proofs.demo import tokens
from deploy.local.proofs.demo.live import LiveView
from deploy.local.scenario import events, faults, orders, resales, rest
from deploy.local.scenario.events import Publication
from deploy.local.scenario.kit import Kit, hold
from deploy.local.scenario.minting import let_venues_mint
from deploy.local.scenario.order_service import OrderService
from deploy.local.scenario.recipients import Recipients, register_recipients
from deploy.report import print_report
from messages.orders import RefundOfOrderRequested
from messages.runtime.settings import load
from messages.shares import EscrowDue
from outbox.append import append
from workers.minting.settings import ContractSettings

PATIENCE_SECONDS, CALM_SECONDS = 90.0, 2.0
SELLERS = 12
RESOLD = 8  # one resale for so many orders
WANTED_BACK = 3  # of each venue, after the sale
# What was charged is available at once, so that an account has something to spend.
SETTINGS = {"STRIPE_EMULATOR_FUNDS_DELAY_SECONDS": "1"}


@dataclass(frozen=True, slots=True)
class Plan:
    orders: int
    rate: float
    seed: int
    faults: bool
    keep: bool


def prove(plan: Plan) -> int:
    return hold("demo", lambda kit: _is_clean(plan, kit), settings=SETTINGS, keep=plan.keep, joins=True)


def _is_clean(plan: Plan, kit: Kit) -> bool:
    let_venues_mint(kit.owner)
    recipients = register_recipients(kit.owner, kit.control, orders.tenants(), sellers=SELLERS)
    (contract,) = load(ContractSettings)
    with ExitStack() as until_sold, kit.order_service(plan.seed) as service:
        if plan.faults:
            until_sold.enter_context(faults.injected(kit.control, *faults.ON_SALE))
        _sell(plan, kit, service, recipients, until_sold)
    tokens.wait_until_minted(kit.console, kit.db, kit.stack)
    report = kit.verify(contract)
    tokens.show_some(kit.console, kit.db, kit.stack)
    print_report(kit.console, report)
    _say_where_to_look(plan, kit)
    return report.clean and (report.quiet or tokens.only_tokens_wait(report, kit.stack))


def _sell(plan: Plan, kit: Kit, service: OrderService, recipients: Recipients, until_sold: ExitStack) -> None:
    title = f"payment fleet: an on-sale of {plan.orders} orders, {plan.rate:g}/s, seed {plan.seed}"
    with LiveView(kit.console, title) as view:
        run = uuid4().hex
        first = list(orders.publications(orders=plan.orders, seed=plan.seed, run=run))
        again = resales.resales(first, recipients, resales=plan.orders // RESOLD, seed=plan.seed, run=run)
        service.publish_now(resales.schedule(recipients))
        for _ in service.publish([*first, *again], rate=plan.rate):
            _draw(view, "on sale", kit, service)
        until_sold.close()
        _wait(view, kit, service)
        kit.control.pay_out(recipients.accounts[-1])  # an artist spends what it got
        service.publish_now(_wanted_back(kit))
        with kit.db.system_transaction() as tx:
            append(tx, EscrowDue(due_at=datetime.now(UTC)))
        _wait(view, kit, service)


def _wait(view: LiveView, kit: Kit, service: OrderService) -> None:
    """Every payment has come to rest, every event is applied, and the outbox is empty."""

    def moving() -> dict[str, int]:
        _draw(view, "settling", kit, service)
        with kit.db.system_transaction() as tx:
            payments = sum(each.payments for each in overview.totals(tx) if each.state in {"requested", "charging"})
            shares, glance = share_verify.moving(tx), overview.glance(tx)
        messages = glance.outbox_due + glance.outbox_waiting
        return {"payments": payments, "shares": shares, "webhook events": glance.events_waiting, "messages": messages}

    rest.wait_until_quiet(
        moving, kit.console, patience_seconds=PATIENCE_SECONDS, calm_seconds=CALM_SECONDS, look_seconds=0.2
    )


def _wanted_back(kit: Kit) -> list[Publication]:
    """Of each venue a few buyers want everything back, of sales whose shares were paid on."""
    with kit.db.system_transaction() as tx:
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
        events.request(RefundOfOrderRequested.event_type, {"tenant_id": str(tenant), "order_id": str(order)}, "demo")
        for tenant, order in rows
    ]


def _draw(view: LiveView, phase: str, kit: Kit, service: OrderService) -> None:
    if view.is_due:
        with kit.db.system_transaction() as tx:
            totals, glance = overview.totals(tx), overview.glance(tx)
        view.show(phase, service.published, service.received, totals, glance)


def _say_where_to_look(plan: Plan, kit: Kit) -> None:
    intake = f"http://{kit.environment['INTAKE_HTTP_HOST']}:{kit.environment['INTAKE_HTTP_PORT']}"
    kit.console.print(f"\nhealth    {intake}/health/ready\nmetrics   {intake}/metrics")
    kit.console.print(f"emulator  {kit.environment['STRIPE_API_BASE']}/_emulator/capabilities")
    if plan.keep:
        kit.console.print("It goes on running: `.venv/bin/fleet --local verify` looks again, `make down` stops it.")
