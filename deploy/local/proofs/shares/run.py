"""`fleet shares-proof`: sales and resales from a seed, and then the question whether every party has what is its own.

Venues, artists and people who resell get their shares; buyers want money back before and after that; accounts are
empty when something is to come back; banks decide disputes, and some that were lost are won after all; Stripe fails
and webhooks are lost, by the seed. Exit code 0 only when `verify` is clean and at rest, each account holds at Stripe
what the ledger says reached it, and nothing was sent twice.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from rich.console import Console

from db.reconciliation import cases
from db.reconciliation.cases import Case, CaseType
from db.session import Database
from db.settings import DatabaseSettings
from db.tenants import tenants
from deploy.local.proofs.day import books
from deploy.local.proofs.day.books import Closing
from deploy.local.proofs.day.evening import grant, quiet_down, rests, waits_long
from deploy.local.proofs.day.order_service import tickets_of
from deploy.local.proofs.day.run import IMPATIENT
from deploy.local.proofs.demo import sale
from deploy.local.proofs.demo.sale import Publication
from deploy.local.proofs.shares import group_story, proof, story
from deploy.local.proofs.shares.bank import ShareBank
from deploy.local.proofs.shares.market import Market, open_market
from deploy.local.proofs.shares.proof import Proof
from deploy.local.proofs.shares.story import ShareOrderService
from deploy.local.stack.ownership import owner_of
from deploy.local.stack.stack import Stack
from deploy.local.stack.up import down, up
from deploy.local.stripe.control import EmulatorControl
from deploy.report import print_report, wide_console
from messages.reconciliation import EventSweepDue, ReconcileDue, SealDue, ShareReconciliationDue
from messages.runtime.settings import load
from messages.shares import EscrowDue
from messages.sweeps import SweepDue
from outbox.append import append
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings
from workers.verify.report import Report
from workers.verify.verify import OrderServiceLog, verify

LOOK_AGAIN_SECONDS = 8.0
# Each phase ends when nothing moves; on a machine that has other work that takes its time.
PATIENCE_SECONDS = 1_800.0
SELLERS = 150
FAULTS: list[tuple[str, str, float, dict[str, Any]]] = [
    ("drop_after", "/v1/payment_intents*", 0.01, {}),
    ("error_with_effect", "/v1/payment_intents*", 0.01, {}),
    ("drop_after", "/v1/refunds*", 0.03, {}),
    ("error_with_effect", "/v1/refunds*", 0.02, {}),
    ("drop_after", "/v1/transfers*", 0.03, {}),
    ("drop_before", "/v1/transfers*", 0.02, {}),
    ("error_with_effect", "/v1/transfers*", 0.02, {}),
    ("rate_limit", "/v1/transfers*", 0.02, {"reason": "endpoint-rate"}),
]
WEBHOOKS_LOST = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    sales: int
    resales: int
    groups: int
    rate: float
    seed: int
    keep: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where the proof is held, and whom it asks."""

    console: Console
    stack: Stack
    db: Database
    gateway: Gateway
    control: EmulatorControl
    owner: psycopg.Connection[Any]
    broker_url: str
    market: Market


@dataclass(frozen=True, slots=True)
class Outcome:
    report: Report
    proof: Proof
    closing: Closing
    waits_long: int

    @property
    def holds(self) -> bool:
        """A line of the bank that is a top-up of the platform's own is nobody's share."""
        lines = sum(row.lines - row.explained for row in self.closing.statement if row.category != "topup")
        at_rest = self.report.clean and rests(self.report, self.waits_long)
        return at_rest and self.proof.holds and not lines and not self.closing.untrue


def shares_proof(plan: Plan) -> int:
    console = wide_console()
    stack = Stack()
    if owner_of(stack.directory) is not None:
        console.print("A fleet is running here already; stop it first (`make down`): the proof needs its own settings.")
        return 75
    if not stack.uses_emulator:
        console.print("The proof plays with the Stripe emulator only, and STRIPE_SECRET_KEY names another Stripe.")
        return 78
    os.environ.update(IMPATIENT | {"STRIPE_EMULATOR_TOPUP_SECONDS": "1"})
    if (failed := up({}, detach=True)) != 0:
        return failed
    try:
        return _hold(plan, stack, console)
    finally:
        if not plan.keep:
            down()


def _hold(plan: Plan, stack: Stack, console: Console) -> int:
    environment = stack.environment()
    os.environ.update(environment)
    database, stripe_settings = load(DatabaseSettings, StripeSettings)
    control = EmulatorControl(
        f"http://127.0.0.1:{environment['STRIPE_EMULATOR_CONTROL_PORT']}", environment["STRIPE_EMULATOR_CONTROL_TOKEN"]
    )
    db, gateway = Database(database, application="fleet-shares"), Gateway(stripe_settings)
    started = time.monotonic()
    with psycopg.connect(environment["MIGRATION_DATABASE_URL"], autocommit=True) as owner:
        tenants.register(owner, sale.tenants())
        market = open_market(owner, control, sale.tenants(), sellers=SELLERS)
        place = Place(console, stack, db, gateway, control, owner, environment["RABBITMQ_URL"], market)
        outcome, happened = _live(place, plan)
    db.close()
    print_report(console, outcome.report)
    for case in outcome.closing.untrue:
        console.print(f"  case {case.type} (UNTRUE): {case.details}", style="red")
    proof.show(console, outcome.proof)
    console.print(f"at Stripe: {happened}")
    word = "Every party has what is its own" if outcome.holds else "IT DOES NOT ADD UP"
    console.print(
        f"{word}: {plan.sales} sales, {plan.resales} resales, {plan.groups} groups, seed {plan.seed}, "
        f"{time.monotonic() - started:.0f} s"
    )
    return 0 if outcome.holds else 1


def _live(place: Place, plan: Plan) -> tuple[Outcome, dict[str, int]]:
    run = uuid4().hex
    first = story.primary(sales=plan.sales, seed=plan.seed, run=run)
    again = story.resales(first, place.market, resales=plan.resales, seed=plan.seed, run=run)
    bank = ShareBank(place.control, place.gateway, place.market, plan.seed)
    together = group_story.groups(first, count=plan.groups, seed=plan.seed, run=run)
    tickets = tickets_of([*first, *again])
    with ShareOrderService(place.broker_url, place.stack.order_log, place.control, plan.seed, tickets) as service:
        for effect, path, probability, details in FAULTS:
            place.control.add_fault(effect, method="POST", path=path, probability=probability, **details)
        place.control.add_fault("webhook_drop", probability=WEBHOOKS_LOST)
        service.publish_now([*story.schedule(place.market), *together.opened])
        _sell(place, service, [*first, *again, *together.paid], plan.rate, halfway=bank.strike)
        _phase(place, service, "accounts are emptied, and buyers want back what was paid on")
        bank.pay_out_accounts()
        service.publish_now(service.late_wishes())
        _phase(place, service, "banks decide disputes, and refunds come back")
        bank.settle()
        _phase(place, service, "disputes that were lost are won after all; the platform tops its balance up")
        bank.win_after_all()
        bank.top_up()
        _phase(place, service, "Stripe is well again: what waited goes on")
        place.control.clear_faults()
        return _close(place, service), dict(bank.happened)


def _sell(
    place: Place, service: ShareOrderService, tale: list[Publication], rate: float, *, halfway: Callable[[], None]
) -> None:
    struck, drawn = False, 0.0
    for _ in service.publish(tale, rate=rate):
        grant(service)
        if not struck and service.published > len(tale) * 0.7:
            struck = True
            halfway()
        if time.monotonic() - drawn > 10:
            drawn = time.monotonic()
            place.console.print(f"published {service.published} of {len(tale)}, told {service.told}")


def _phase(place: Place, service: ShareOrderService, what_next: str) -> None:
    """Wait until nothing moves; then the next thing happens."""
    began = time.monotonic()
    asked = quiet_down(place.db, service, patience_seconds=PATIENCE_SECONDS)
    place.console.print(f"quiet after {time.monotonic() - began:.0f} s ({asked} wishes meanwhile): {what_next}")


def _close(place: Place, service: ShareOrderService) -> Outcome:
    """Look again and again, as the scheduler would in its hours, until all agrees or patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        now = datetime.now(UTC)
        with place.db.system_transaction() as tx:
            append(tx, EventSweepDue(due_at=now), SweepDue(due_at=now), SealDue(due_at=now))
            append(tx, ReconcileDue(span="rolling", due_at=now), ShareReconciliationDue(span="rolling", due_at=now))
            append(tx, EscrowDue(due_at=now))
        _let_a_day_pass(place)
        time.sleep(LOOK_AGAIN_SECONDS)
        quiet_down(place.db, service, patience_seconds=PATIENCE_SECONDS)
        outcome = _look(place)
        place.console.print(
            f"looked: verify {outcome.report.totals}, {len(outcome.closing.untrue)} untrue cases, "
            f"{len(outcome.proof.off)} accounts off"
        )
        if outcome.holds or time.monotonic() > deadline:
            return outcome


def _let_a_day_pass(place: Place) -> None:
    """Shares that Stripe's balance did not cover are looked at again in an hour, and a call whose answer was lost is
    absent for sure after a day (M13). Stripe is well and nothing moves, so what is not there by now never was.
    """
    place.owner.execute(
        "UPDATE calls SET first_sent_at = first_sent_at - interval '25 hours', "
        "last_sent_at = last_sent_at - interval '25 hours' WHERE outcome = 'unknown'"
    )
    place.owner.execute("UPDATE outbox SET due_at = clock_timestamp() WHERE due_at > clock_timestamp()")


def _look(place: Place) -> Outcome:
    closing = books.look(place.db)
    for case in closing.cases:
        if case.type == CaseType.UNKNOWN_TENANT and "(topup of" in case.details:
            _accept(place, case)
    report = verify(place.db, place.gateway, place.broker_url, OrderServiceLog.read(place.stack.order_log))
    seen = proof.look(place.db, place.gateway, place.control, place.market.all_accounts)
    return Outcome(report, seen, books.look(place.db), waits_long(place.db))


def _accept(place: Place, case: Case) -> None:
    with place.db.ops_transaction() as tx:
        cases.accept_case(tx, case.case_id, operator="shares-proof", reason="the platform's own top-up")
