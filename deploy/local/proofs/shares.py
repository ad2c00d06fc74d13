"""`fleet prove shares`: sales and resales from a seed, and then the question whether every party has what is its own.

Venues, artists and people who resell get their shares; buyers want money back before and after that; accounts are
empty when something is to come back; banks decide disputes, and some that were lost are won after all; Stripe fails
and webhooks are lost, by the seed. Exit code 0 only when `verify` is clean and at rest, each account holds at Stripe
what the ledger says reached it, and nothing was sent twice.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from db.reconciliation import cases
from db.reconciliation.cases import CaseType
from deploy.local.scenario import accounts, books, closing, faults, groups, orders, resales
from deploy.local.scenario.accounts import Accounts
from deploy.local.scenario.buyers import Buyers, RequestRates
from deploy.local.scenario.closing import Closing
from deploy.local.scenario.kit import IMPATIENT, Kit, hold
from deploy.local.scenario.order_service import OrderService
from deploy.local.scenario.recipients import Recipients, register_recipients
from deploy.local.scenario.selling import sell
from deploy.local.scenario.stripe_side import StripeSide
from deploy.report import print_report
from messages.base import Message
from messages.reconciliation import EventSweepDue, ReconcileDue, SealDue, ShareReconciliationDue
from messages.shares import EscrowDue
from messages.sweeps import SweepDue

# Each phase ends when nothing moves; on a machine that has other work that takes its time.
PATIENCE_SECONDS = 1_800.0
SELLERS = 150
RATES = RequestRates(whole=90, ticket=60, part=60, cancelled=40, half_late=True)


@dataclass(frozen=True, slots=True)
class Plan:
    sales: int
    resales: int
    groups: int
    rate: float
    seed: int
    keep: bool


@dataclass(frozen=True, slots=True)
class Seen:
    closing: Closing
    accounts: Accounts

    @property
    def holds(self) -> bool:
        """A line of the bank that is a top-up of the platform's own is nobody's share."""
        lines = sum(row.lines - row.explained for row in self.closing.books.statement if row.category != "topup")
        return self.closing.is_at_rest and self.accounts.holds and not lines and not self.closing.books.untrue


def prove(plan: Plan) -> int:
    settings = IMPATIENT | {"STRIPE_EMULATOR_TOPUP_SECONDS": "1"}
    return hold("shares", lambda kit: _has_every_party_its_own(plan, kit), settings=settings, keep=plan.keep)


def _has_every_party_its_own(plan: Plan, kit: Kit) -> bool:
    started = time.monotonic()
    recipients = register_recipients(kit.owner, kit.control, orders.tenants(), sellers=SELLERS)
    stripe_side = StripeSide(kit.control, kit.environment, plan.seed, accounts=recipients.all_accounts)
    seen = _run(plan, kit, recipients, stripe_side)
    print_report(kit.console, seen.closing.report)
    seen.closing.show_recorded(kit)
    for case in seen.closing.books.untrue:
        kit.console.print(f"  case {case.type} (UNTRUE): {case.details}", style="red")
    accounts.show(kit.console, seen.accounts)
    kit.console.print(f"at Stripe: {dict(stripe_side.happened)}")
    verdict = "Every party has what is its own" if seen.holds else "IT DOES NOT ADD UP"
    kit.console.print(
        f"{verdict}: {plan.sales} sales, {plan.resales} resales, {plan.groups} groups, seed {plan.seed}, "
        f"{time.monotonic() - started:.0f} s"
    )
    return seen.holds


def _run(plan: Plan, kit: Kit, recipients: Recipients, stripe_side: StripeSide) -> Seen:
    run = uuid4().hex
    first = resales.primary(sales=plan.sales, seed=plan.seed, run=run)
    again = resales.resales(first, recipients, resales=plan.resales, seed=plan.seed, run=run)
    together = groups.groups(first, count=plan.groups, seed=plan.seed, run=run)
    with kit.order_service(plan.seed, Buyers(plan.seed, [*first, *again], RATES)) as service:
        with faults.injected(kit.control, *faults.WHERE_SHARES_MOVE):
            service.publish_now([*resales.schedule(recipients), *together.opened])
            sale = [*first, *again, *together.paid]
            sell(
                service,
                sale,
                rate=plan.rate,
                console=kit.console,
                line=lambda _: f"published {service.published} of {len(sale)}, received {service.received}",
                stripe_acts=stripe_side.act,
            )
            _phase(kit, service, "accounts are emptied, and buyers want back what was paid on")
            stripe_side.pay_out_accounts()
            service.publish_now(service.buyers.late_requests())
            _phase(kit, service, "banks decide disputes, and refunds come back")
            stripe_side.settle()
            _phase(kit, service, "disputes that were lost are won after all; the platform tops its balance up")
            stripe_side.win_after_all()
            stripe_side.top_up()
            _phase(kit, service, "Stripe is well again: what waited goes on")
        return closing.until(
            lambda seen: seen.holds,
            lambda: _look(kit, recipients),
            lambda: _bring_forward(kit, service),
            patience_seconds=PATIENCE_SECONDS,
        )


def _phase(kit: Kit, service: OrderService, what_next: str) -> None:
    """Wait until nothing moves; then the next thing happens."""
    started = time.monotonic()
    asked = closing.wait_until_quiet(kit, service, patience_seconds=PATIENCE_SECONDS)
    kit.console.print(f"quiet after {time.monotonic() - started:.0f} s ({asked} requests meanwhile): {what_next}")


def _bring_forward(kit: Kit, service: OrderService) -> None:
    faults.let_a_day_pass(kit.owner)
    closing.bring_forward(kit, service, _due, patience_seconds=PATIENCE_SECONDS)


def _due(now: datetime) -> list[Message]:
    return [
        EventSweepDue(due_at=now),
        SweepDue(due_at=now),
        SealDue(due_at=now),
        ReconcileDue(span="rolling", due_at=now),
        ShareReconciliationDue(span="rolling", due_at=now),
        EscrowDue(due_at=now),
    ]


def _look(kit: Kit, recipients: Recipients) -> Seen:
    """The platform's own top-up is of no tenant: its case is accepted, as an operator would."""
    for case in books.look(kit.db).cases:
        if case.type == CaseType.UNKNOWN_TENANT and "(topup of" in case.details:
            with kit.db.ops_transaction() as tx:
                cases.accept_case(tx, case.case_id, operator="shares-proof", reason="the platform's own top-up")
    seen = Seen(closing.look(kit), accounts.look(kit.db, kit.gateway, kit.control, recipients.all_accounts))
    untrue, off = len(seen.closing.books.untrue), len(seen.accounts.off)
    kit.console.print(f"looked: {seen.closing.in_words}, {untrue} untrue cases, {off} accounts off")
    return seen
