"""`fleet day`: a seeded day of the marketplace, and then the question whether the books close.

Orders are sold, given back whole and in parts, by ticket and by cancelling; refunds are made in the dashboard, buyers
dispute, networks warn, banks decide, payouts leave and one comes back; webhooks are lost and Stripe fails, by the seed.
In the evening the faults end, and reconciliation is run until nothing differs. Exit code 0 only when `verify` is clean,
the trial balance is zero, every line of the bank's statement has its journal, and no case is open but true ones.
"""

import os
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
from rich.console import Console

from db.monitoring import overview
from db.session import Database
from db.settings import DatabaseSettings
from db.tenants import tenants
from deploy.local.proofs.day import books
from deploy.local.proofs.day.bank import Bank
from deploy.local.proofs.day.books import Closing
from deploy.local.proofs.day.evening import EVENING_SECONDS, grant, quiet_down, rests, waits_long
from deploy.local.proofs.day.order_service import DayOrderService, tickets_of
from deploy.local.proofs.demo import sale
from deploy.local.proofs.demo.sale import Publication
from deploy.local.stack.ownership import owner_of
from deploy.local.stack.stack import Stack
from deploy.local.stack.up import down, up
from deploy.local.stripe.control import EmulatorControl
from deploy.report import print_report, wide_console
from messages.reconciliation import EventSweepDue, PayoutsDue, ReconcileDue, SealDue
from messages.runtime.settings import load
from outbox.append import append
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings
from workers.verify.report import Report
from workers.verify.verify import OrderServiceLog, verify

# A day here lasts minutes, so its patience is that of minutes as well.
IMPATIENT = {
    "SWEEP_AFTER_SECONDS": "10",
    "EVENT_SWEEP_SETTLE_SECONDS": "2",
    "RECONCILE_GRACE_SECONDS": "2",
    "RECONCILE_AUTO_FIX_SECONDS": "5",
    # Money is available at once, so that payouts have something to pay out.
    "STRIPE_EMULATOR_FUNDS_DELAY_SECONDS": "1",
}
CARDS = sale.CARDS | {"pm_card_pendingRefund": 40, "pm_card_createDispute": 4, "pm_card_createIssuerFraudRecord": 4}
LOOK_AGAIN_SECONDS = 8.0
_FAULTS = [
    ("drop_after", "/v1/payment_intents*", 0.01),
    ("error_with_effect", "/v1/payment_intents*", 0.01),
    ("drop_after", "/v1/refunds*", 0.03),
    ("drop_before", "/v1/refunds*", 0.02),
    ("error_with_effect", "/v1/refunds*", 0.02),
]
_WEBHOOKS_LOST = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    orders: int
    rate: float
    seed: int
    keep: bool


def day(plan: Plan) -> int:
    console = wide_console()
    stack = Stack()
    if owner_of(stack.directory) is not None:
        console.print("A fleet is running here already; stop it first (`make down`): the day needs its own settings.")
        return 75
    if not stack.uses_emulator:
        console.print("The day plays with the Stripe emulator only, and STRIPE_SECRET_KEY names another Stripe.")
        return 78
    os.environ.update(IMPATIENT)
    if (failed := up({}, detach=True)) != 0:
        return failed
    try:
        return _live(plan, stack, console)
    finally:
        if not plan.keep:
            down()


def _live(plan: Plan, stack: Stack, console: Console) -> int:
    os.environ.update(stack.environment())
    environment = stack.environment()
    database, stripe_settings = load(DatabaseSettings, StripeSettings)
    db, gateway = Database(database, application="fleet-day"), Gateway(stripe_settings)
    with psycopg.connect(environment["MIGRATION_DATABASE_URL"], autocommit=True) as owner:
        tenants.register(owner, sale.tenants())
    control = EmulatorControl(
        f"http://127.0.0.1:{environment['STRIPE_EMULATOR_CONTROL_PORT']}", environment["STRIPE_EMULATOR_CONTROL_TOKEN"]
    )
    bank = Bank(control, gateway, plan.seed)
    started = time.monotonic()
    story = list(sale.publications(orders=plan.orders, seed=plan.seed, run=uuid4().hex, habits=sale.Habits(CARDS)))
    broker_url = environment["RABBITMQ_URL"]
    with DayOrderService(broker_url, stack.order_log, control, plan.seed, tickets_of(story)) as service:
        asked = _sell(plan, console, db, service, control, story, bank)
        console.print(f"evening after {time.monotonic() - started:.0f} s: banks decide, payouts leave")
        control.clear_faults()
        asked += quiet_down(db, service)
        bank.settle()
        asked += quiet_down(db, service)
        bank.pay_out()
        report, closing = _close_the_books(console, db, gateway, broker_url, stack, service)
    waiting_long = waits_long(db)
    db.close()
    console.print(
        f"asked for: {plan.orders} orders, {asked} refunds and cancellations; at Stripe: {dict(bank.happened)}"
    )
    books.show(console, closing)
    print_report(console, report)
    well = report.clean and rests(report, waiting_long) and closing.closed
    if waiting_long:
        console.print(f"{waiting_long} charges wait for the proof that Stripe never made them, which takes a day")
    console.print(
        f"{'The books close' if well else 'THE BOOKS DO NOT CLOSE'}: seed {plan.seed}, "
        f"{time.monotonic() - started:.0f} s"
    )
    return 0 if well else 1


def _sell(
    plan: Plan,
    console: Console,
    db: Database,
    service: DayOrderService,
    control: EmulatorControl,
    story: list[Publication],
    bank: Bank,
) -> int:
    for effect, path, probability in _FAULTS:
        control.add_fault(effect, method="POST", path=path, probability=probability)
    control.add_fault("webhook_drop", probability=_WEBHOOKS_LOST)
    asked, drawn, struck = 0, 0.0, False
    for _ in service.publish(story, rate=plan.rate):
        asked += grant(service)
        if time.monotonic() - drawn > 5:
            drawn = time.monotonic()
            console.print(_line(db, service, asked))
        if not struck and service.published > len(story) * 0.7:
            struck = True
            bank.strike()
    return asked


def _line(db: Database, service: DayOrderService, asked: int) -> str:
    with db.system_transaction() as tx:
        glance, totals = overview.glance(tx), overview.totals(tx)
    states: Counter[str] = Counter()
    for total in totals:
        states[total.state] += total.payments
    return (
        f"published {service.published}, told {service.told}, wishes {asked}, payments {dict(states)}, "
        f"outbox {glance.outbox_due}+{glance.outbox_waiting}, dead {glance.open_dead_letters}"
    )


def _close_the_books(
    console: Console, db: Database, gateway: Gateway, broker_url: str, stack: Stack, service: DayOrderService
) -> tuple[Report, Closing]:
    """Sweep events, pay-outs and the statement again and again, as the scheduler would, until all agrees."""
    deadline = time.monotonic() + EVENING_SECONDS
    while True:
        now = datetime.now(UTC)
        with db.system_transaction() as tx:
            append(tx, EventSweepDue(due_at=now), PayoutsDue(due_at=now), SealDue(due_at=now))
            append(tx, ReconcileDue(span="rolling", due_at=now))
        time.sleep(LOOK_AGAIN_SECONDS)
        quiet_down(db, service)
        report = verify(db, gateway, broker_url, OrderServiceLog.read(stack.order_log))
        closing = books.look(db)
        console.print(
            f"looked: verify {report.totals}, {len(closing.cases)} cases, {closing.unexplained} lines unexplained"
        )
        if (report.clean and rests(report, waits_long(db)) and closing.closed) or time.monotonic() > deadline:
            return report, closing
