"""`fleet prove day`: a seeded day of the marketplace, and then the question whether the books close.

Orders are sold, refunded whole and in part, by ticket and by cancelling; refunds are made in the dashboard, buyers
dispute, networks warn, banks decide, payouts leave and one comes back; webhooks are lost and Stripe fails, by the seed.
After the sale the faults end, and reconciliation is run until nothing differs. Exit code 0 only when `verify` is clean,
the trial balance is zero, every line of the bank's statement has its journal, and no case is open but true ones.

It looks at all that the stack of this clone has ever done. `fleet prove shares` leaves top-ups there that belong to no
tenant: remove `.local` (`make clean`) before a day that follows it.
"""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from db.monitoring import overview
from deploy.local.scenario import closing, faults, orders
from deploy.local.scenario.buyers import Buyers
from deploy.local.scenario.closing import Closing
from deploy.local.scenario.kit import IMPATIENT, Kit, hold
from deploy.local.scenario.order_service import OrderService
from deploy.local.scenario.selling import sell
from deploy.local.scenario.stripe_side import StripeSide
from messages.base import Message
from messages.reconciliation import EventSweepDue, PayoutsDue, ReconcileDue, SealDue

CARDS = orders.CARDS | {"pm_card_pendingRefund": 40, "pm_card_createDispute": 4, "pm_card_createIssuerFraudRecord": 4}
PATIENCE_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Plan:
    orders: int
    rate: float
    seed: int
    keep: bool


def prove(plan: Plan) -> int:
    return hold("day", lambda kit: _books_close(plan, kit), settings=IMPATIENT, keep=plan.keep)


def _books_close(plan: Plan, kit: Kit) -> bool:
    stripe_side = StripeSide(kit.control, kit.environment, plan.seed)
    started = time.monotonic()
    sale = list(orders.publications(orders=plan.orders, seed=plan.seed, run=uuid4().hex, habits=orders.Habits(CARDS)))
    with kit.order_service(plan.seed, Buyers(plan.seed, sale)) as service:
        with faults.injected(kit.control, *faults.OF_A_DAY):
            asked = sell(
                service,
                sale,
                rate=plan.rate,
                console=kit.console,
                line=lambda asked: _line(kit, service, asked),
                stripe_acts=stripe_side.act,
            )
        kit.console.print(f"sold after {time.monotonic() - started:.0f} s: banks decide, payouts leave")
        asked += closing.wait_until_quiet(kit, service, patience_seconds=PATIENCE_SECONDS)
        stripe_side.settle()
        asked += closing.wait_until_quiet(kit, service, patience_seconds=PATIENCE_SECONDS)
        stripe_side.pay_out()
        seen = closing.until(
            _is_closed,
            lambda: _look(kit),
            lambda: closing.bring_forward(kit, service, _due, patience_seconds=PATIENCE_SECONDS),
            patience_seconds=PATIENCE_SECONDS,
        )
    happened = dict(stripe_side.happened)
    kit.console.print(f"{plan.orders} orders, {asked} refunds and cancellations asked for; at Stripe: {happened}")
    seen.show(kit)
    closed = _is_closed(seen)
    verdict = "The books close" if closed else "THE BOOKS DO NOT CLOSE"
    kit.console.print(f"{verdict}: seed {plan.seed}, {time.monotonic() - started:.0f} s")
    return closed


def _line(kit: Kit, service: OrderService, asked: int) -> str:
    with kit.db.system_transaction() as tx:
        glance, totals = overview.glance(tx), overview.totals(tx)
    states: Counter[str] = Counter()
    for total in totals:
        states[total.state] += total.payments
    return (
        f"published {service.published}, received {service.received}, requests {asked}, payments {dict(states)}, "
        f"outbox {glance.outbox_due}+{glance.outbox_waiting}, dead letters {glance.open_dead_letters}"
    )


def _due(now: datetime) -> list[Message]:
    return [
        EventSweepDue(due_at=now),
        PayoutsDue(due_at=now),
        SealDue(due_at=now),
        ReconcileDue(span="rolling", due_at=now),
    ]


def _look(kit: Kit) -> Closing:
    seen = closing.look(kit)
    cases, unexplained = len(seen.books.cases), seen.books.unexplained
    kit.console.print(f"looked: {seen.in_words}, {cases} cases, {unexplained} lines unexplained")
    return seen


def _is_closed(seen: Closing) -> bool:
    return seen.is_at_rest and seen.books.closed
