"""payouts: each tenant's part of what left for the bank has its journal, and what is nobody's is a case."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from db.payments.payments import Payment
from db.reconciliation import cases
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested
from messages.reconciliation import PayoutsDue
from messages.verdicts import TryAgain
from messages.webhooks import WebhookReceived
from outbox.intake.stripe_events import receive
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.conftest import Ledgers
from tests.workers.payouts.scenario import AT_ONCE, at_stripe, cases_of, charge_by_hand, journals, pay_out
from tests.workers.reconciliation.scenario import reconcile_now
from tests.workers.webhooks.scenario import events_of, verified
from workers.payments.charge import charge
from workers.payouts.payouts import reconcile_payouts
from workers.webhooks.webhook import webhook

Run = Callable[[], None]
# Its money is available at once (docs.stripe.com/testing).
# 42.00 less Stripe's 1.52.
NET = 4048


@pytest.fixture
def neighbour(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.fixture
def sold(db: Database, gateway: Gateway) -> Callable[..., Payment]:
    def one(tenant: Tenant, **changes: Any) -> Payment:
        payment = factories.requested(db, tenant, payment_method_id=AT_ONCE, **changes)
        charge(ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id), db, gateway)
        return factories.reread(db, tenant.tenant_id, payment.payment_id)

    return one


@pytest.fixture
def run(db: Database, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("APP_ENV", "test")
    return lambda: reconcile_payouts(PayoutsDue(due_at=datetime.now(UTC)), db, gateway)


def test_each_tenant_has_one_journal_of_its_net_in_the_payout(
    stripe_control: EmulatorControl,
    tenant: Tenant,
    neighbour: Tenant,
    sold: Callable[..., Payment],
    run: Run,
    owner: psycopg.Connection,
) -> None:
    for seller in (tenant, tenant, neighbour):
        sold(seller)
    (payout,) = pay_out(stripe_control)

    for _ in range(3):
        run()

    assert journals(owner, "payout") == {tenant.tenant_id: 2 * NET, neighbour.tenant_id: NET}
    assert at_stripe(owner) == {tenant.tenant_id: 0, neighbour.tenant_id: 0}
    contained = owner.execute("SELECT count(*) FROM bank_lines WHERE payout_id = %s", [payout["id"]]).fetchone()
    assert contained == (4,)  # three charges and the payout itself
    assert owner.execute("SELECT count(*) FROM reconciliation_cases").fetchone() == (0,)


def test_nothing_is_booked_before_stripe_has_listed_the_contents(
    stripe_control: EmulatorControl, tenant: Tenant, sold: Callable[..., Payment], run: Run, owner: psycopg.Connection
) -> None:
    sold(tenant)
    stripe_control.pay_out()

    run()

    assert journals(owner, "payout") == {}


def test_a_payout_that_comes_back_is_reversed_and_the_next_one_takes_the_money(
    stripe_control: EmulatorControl,
    tenant: Tenant,
    neighbour: Tenant,
    sold: Callable[..., Payment],
    run: Run,
    owner: psycopg.Connection,
    db: Database,
) -> None:
    sold(tenant)
    sold(neighbour)
    (first,) = pay_out(stripe_control)
    run()
    stripe_control.finish_payout(first["id"])
    stripe_control.finish_payout(first["id"], "failed", code="account_closed")

    run()
    run()
    assert at_stripe(owner) == {tenant.tenant_id: NET, neighbour.tenant_id: NET}

    sold(tenant)
    pay_out(stripe_control)
    run()

    assert at_stripe(owner) == {tenant.tenant_id: 0, neighbour.tenant_id: 0}
    assert cases_of(db) == []


def test_what_belongs_to_nobody_is_a_case_and_the_rest_is_booked_when_it_is_accepted(
    stripe_control: EmulatorControl,
    gateway: Gateway,
    tenant: Tenant,
    sold: Callable[..., Payment],
    run: Run,
    owner: psycopg.Connection,
    db: Database,
) -> None:
    sold(tenant)
    charge_by_hand(gateway)
    pay_out(stripe_control)

    run()
    run()
    (case,) = cases_of(db)
    assert (case.type, case.amount_minor, case.times_seen) == ("payout_unexplained", NET, 2)
    assert journals(owner, "payout") == {}

    with db.ops_transaction() as tx:
        cases.accept_case(tx, case.case_id, operator="ada", reason="sold at the door")
    run()

    assert journals(owner, "payout") == {tenant.tenant_id: NET}
    assert [one.state for one in cases_of(db)] == ["closed"]


def test_a_payout_whose_rest_is_explained_later_closes_its_case_and_is_booked(
    stripe_control: EmulatorControl,
    tenant: Tenant,
    sold: Callable[..., Payment],
    run: Run,
    owner: psycopg.Connection,
    db: Database,
) -> None:
    sold(tenant)
    owner.execute(
        "CREATE TABLE aside AS SELECT balance_transaction_id, stripe_fee_minor, balance_currency FROM charges"
    )
    owner.execute("UPDATE charges SET balance_transaction_id = NULL, stripe_fee_minor = NULL, balance_currency = NULL")
    pay_out(stripe_control)
    run()
    assert [one.state for one in cases_of(db)] == ["open"]

    owner.execute(
        "UPDATE charges SET (balance_transaction_id, stripe_fee_minor, balance_currency) = (SELECT * FROM aside)"
    )
    run()

    assert journals(owner, "payout") == {tenant.tenant_id: NET}
    assert [(one.state, one.closed_by) for one in cases_of(db)] == [("closed", "payouts")]


def test_one_made_by_hand_is_a_case_until_an_automatic_one_contains_it(
    stripe_control: EmulatorControl,
    gateway: Gateway,
    tenant: Tenant,
    sold: Callable[..., Payment],
    run: Run,
    owner: psycopg.Connection,
    db: Database,
) -> None:
    sold(tenant)
    gateway.v1.payouts.create({"amount": 1000, "currency": "eur"})
    run()
    assert [(one.state, one.amount_minor) for one in cases_of(db)] == [("open", 1000)]

    pay_out(stripe_control)
    run()
    run()

    assert [one.state for one in cases_of(db)] == ["closed"]
    assert journals(owner, "payout") == {tenant.tenant_id: NET}


def test_a_run_that_broke_between_two_pages_or_tenants_books_nothing_twice(
    stripe_control: EmulatorControl,
    tenant: Tenant,
    neighbour: Tenant,
    sold: Callable[..., Payment],
    run: Run,
    owner: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seller in (tenant, neighbour):
        sold(seller)
    pay_out(stripe_control)
    rule = stripe_control.add_fault("error", method="GET", path="/v1/balance_transactions", status=503)
    with pytest.raises(TryAgain):
        run()
    stripe_control.clear_faults(rule)
    run()
    owner.execute("UPDATE payouts SET booked_at = NULL")  # as if it had died before the last step

    run()

    assert journals(owner, "payout") == {tenant.tenant_id: NET, neighbour.tenant_id: NET}


def test_an_event_of_a_payout_has_it_looked_at(
    stripe_control: EmulatorControl,
    gateway: Gateway,
    db: Database,
    tenant: Tenant,
    sold: Callable[..., Payment],
    book_of: Ledgers,
) -> None:
    sold(tenant)
    (payout,) = pay_out(stripe_control)
    (event,) = [one for one in events_of(gateway) if one["type"] == "payout.reconciliation_completed"]

    receive(db, verified(event))
    webhook(WebhookReceived(tenant_id=None, event_id=event["id"]), db, gateway)

    assert [one["payout_id"] for one in book_of.messages() if one["kind"] == "payouts"] == [payout["id"]]
    assert book_of.owner.execute("SELECT state FROM webhook_inbox").fetchall() == [("applied",)]


def test_booked_payouts_leave_the_comparison_and_the_trial_balance_in_peace(
    stripe_control: EmulatorControl,
    gateway: Gateway,
    db: Database,
    tenant: Tenant,
    sold: Callable[..., Payment],
    run: Run,
    owner: psycopg.Connection,
    book_of: Ledgers,
) -> None:
    sold(tenant)
    (payout,) = pay_out(stripe_control)
    run()
    stripe_control.finish_payout(payout["id"], "failed", code="no_account")
    run()

    reconcile_now(db, gateway, owner, until="1 day")

    assert cases_of(db) == []
    assert sum(book_of.balances().values()) == 0
