"""What a worker does when the budget of requests to Stripe is spent, and for whom it says that it asks."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.process import EmulatorProcess
from messages.payments import ChargeRequested
from messages.runtime import priority
from messages.runtime.priority import Requester, Urgency
from stripe_client.gateway import Gateway
from stripe_client.rate_limit.shared_budget import SharedBudget
from tests import factories
from tests.budgets import MakeGovernor
from tests.conftest import stripe_settings
from tests.workers.conftest import Ledgers
from workers.runtime.actor import ACTORS, Actor, envelope_of, run


def test_a_charge_without_a_permit_waits_as_a_row_before_it_is_claimed(
    db: Database, owner: psycopg.Connection, book_of: Ledgers, stripe_server: EmulatorProcess,
    stripe_control: EmulatorControl, governor_of: MakeGovernor, budget: SharedBudget,
) -> None:  # fmt: skip
    payment = factories.requested(db, factories.tenant(owner))
    refunds = Requester(None, Urgency.FIRST)
    while budget.take("payment_intents", refunds, 100, (1.0, 1.0)).granted:  # down to the ground: they go first
        pass
    stripe = Gateway(stripe_settings(stripe_server.base_url), governor_of(per_second=1.0))
    message = ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id)

    run(ACTORS["charge"], message.model_dump(mode="json"), envelope_of(str(uuid4()), {}), db, stripe)

    assert stripe_control.requests() == []
    assert book_of.states(payment.payment_id) == ["requested"]
    assert (book_of.count("calls"), book_of.count("dead_letters")) == (0, 0)
    row = owner.execute("SELECT verdict, reason FROM message_failures").fetchone()
    assert row == ("try_later", "waits for its turn: the budget of requests to Stripe's payment_intents is spent")


def test_a_handler_asks_for_the_tenant_of_its_message(
    db: Database, owner: psycopg.Connection, gateway: Gateway
) -> None:
    tenant, seen = factories.tenant(owner), list[Requester]()

    def look(_message: Any, _db: Database, _stripe: Gateway) -> None:
        seen.append(priority.current())

    message = ChargeRequested(tenant_id=tenant.tenant_id, payment_id=factories.requested(db, tenant).payment_id)
    entry = Actor(ChargeRequested, look)
    run(entry, message.model_dump(mode="json"), envelope_of(str(uuid4()), {}), db, gateway)

    assert seen == [Requester(tenant.tenant_id, Urgency.NORMAL)]
    assert priority.current() == Requester()


@pytest.mark.parametrize("urgency", Urgency)
def test_every_urgency_finds_a_permit_on_an_idle_day(governor_of: MakeGovernor, urgency: Urgency) -> None:
    governor = governor_of(per_second=10.0)

    with priority.asking_for(None, urgency):
        governor.acquire("refunds")
