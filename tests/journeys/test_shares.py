"""A small form of `fleet prove shares`: sales and resales, with all that may happen to shares, to the last cent."""

from datetime import UTC, datetime

import psycopg
import pytest

from db.reconciliation.cases import Case, CaseType
from db.webhooks import event_coverage
from deploy.local.scenario import accounts, events, resales
from deploy.local.scenario.recipients import register_recipients
from deploy.local.scenario.stripe_side import StripeSide
from messages.orders import RefundOfOrderRequested
from messages.reconciliation import EventSweepDue, ShareReconciliationDue
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean
from tests.workers.reconciliation.scenario import at_once, begin_run, cases_of
from workers.shares.reconcile import reconcile_shares
from workers.webhooks.event_sweep import sweep_events

SALES, RESALES = 30, 12


@pytest.fixture
def at_work(fleet: Fleet) -> Fleet:
    """Stripe drops answers of transfers, fails over them, and loses webhooks."""
    for effect in ("drop_after", "error_with_effect", "drop_before"):
        fleet.control.add_fault(effect, method="POST", path="/v1/transfers*", probability=0.05)
    fleet.control.add_fault("webhook_drop", probability=0.1)
    return fleet


def settle(fleet: Fleet) -> None:
    """Until each share is settled, held, or waits for somebody else; shares of a payment are told nobody."""
    fleet.wait_until_quiet(hurry=True)
    moving = (
        "SELECT FROM transfers WHERE state IN ('requested', 'sending') UNION ALL "
        "SELECT FROM transfer_reversals WHERE state IN ('requested', 'sending') UNION ALL "
        "SELECT FROM shares s JOIN recipients r USING (tenant_id, recipient_id) JOIN distributions d "
        "USING (tenant_id, payment_id) WHERE s.state = 'released' AND s.waits_for IS NULL AND r.account_id IS NOT NULL"
    )
    fleet.wait_until(lambda: not fleet.rows(moving), "every share has come to rest")
    fleet.wait_until_quiet(hurry=True)


def give_back_and_dispute(fleet: Fleet) -> None:
    """A quarter of all that was paid comes back whole, and a few buyers go to their banks."""
    sold = fleet.rows(
        "SELECT p.tenant_id::text, p.order_id::text, c.charge_id FROM payments p "
        "JOIN charges c USING (tenant_id, payment_id) ORDER BY p.order_id"
    )
    for number, payment in enumerate(sold):
        charge_id = payment.pop("charge_id")
        if number % 4 == 0:
            fleet.publish(events.request(RefundOfOrderRequested.event_type, payment, number))
        elif number % 11 == 1:
            fleet.control.dispute(charge_id)


def find_lost_webhooks(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep that comes every few minutes: a dispute whose end no webhook told stays open in the book until then.

    It leaves out the second that is not over, in which Stripe may still create events; so it runs until it has read
    past the moment at which it was first called.
    """
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("EVENT_SWEEP_SETTLE_SECONDS", "0")
    called_at = fleet.rows("SELECT clock_timestamp() AS now")[0]["now"]

    def has_read_past_the_call() -> bool:
        sweep_events(EventSweepDue(due_at=datetime.now(UTC)), fleet.db, fleet.gateway)
        with fleet.db.system_transaction() as tx:
            sweep = event_coverage.standing(tx)
        return sweep is not None and sweep.swept_until > called_at

    fleet.wait_until(has_read_past_the_call, "the event sweep has read all that had happened", poll=0.2)


def compare_shares(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Where rule, rows, ledger and Stripe differ, of all that was ever cut. Other cases are true: a bank sent a refund
    back.
    """
    at_once(monkeypatch)
    with psycopg.connect(fleet.owner_url, autocommit=True) as owner:
        begin_run(owner, "shares_rolling", until="1 hour")
    reconcile_shares(ShareReconciliationDue(span="rolling", due_at=datetime.now(UTC)), fleet.db, fleet.gateway)
    return [case for case in cases_of(fleet.db) if case.type == CaseType.SHARE_DIFFERS]


def test_every_party_of_sales_and_resales_has_what_is_its_own(at_work: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = at_work
    with psycopg.connect(fleet.owner_url, autocommit=True) as owner:
        recipients = register_recipients(owner, fleet.control, list(fleet.tenants.values()), sellers=6)
    first = [one for one in resales.primary(sales=SALES, seed=3, run="small") if one.log.get("published") == "order"]
    again = resales.resales(first, recipients, resales=RESALES, seed=3, run="small")
    stripe_side = StripeSide(fleet.control, fleet.environment(), seed=3, accounts=recipients.all_accounts)

    fleet.publish(*resales.schedule(recipients), *first, *again)
    settle(fleet)
    stripe_side.pay_out_accounts()
    give_back_and_dispute(fleet)
    settle(fleet)
    stripe_side.settle()
    settle(fleet)
    stripe_side.win_after_all()
    for currency in ("eur", "gbp", "usd", "jpy"):
        fleet.control.adjust_balance(1_000_000, currency)
    settle(fleet)
    fleet.control.clear_faults()
    find_lost_webhooks(fleet, monkeypatch)
    settle(fleet)

    assert_clean(fleet, hurry=True)
    seen = accounts.look(fleet.db, fleet.gateway, fleet.control, recipients.all_accounts)
    assert seen.holds, (seen.off, seen.twice)
    assert seen.reversals > 0
    assert compare_shares(fleet, monkeypatch) == []


def test_a_share_waits_for_its_account_and_goes_when_stripe_tells_the_second_endpoint(fleet: Fleet) -> None:
    account = str(fleet.control.account()["id"])
    venue = fleet.tenants["Rhine Arena"].venues[0].venue_id
    fleet.change("UPDATE recipients SET account_id = %s WHERE recipient_id = %s", account, venue)
    fleet.change("UPDATE venues SET escrow_days = NULL, settlement_mode = 'separate' WHERE venue_id = %s", venue)
    fleet.control.set_capability(account, "transfers", "inactive")
    known = "SELECT transfers FROM connected_accounts WHERE account_id = %s"
    fleet.wait_until(lambda: [row["transfers"] for row in fleet.rows(known, account)] == ["inactive"], "it is followed")
    order = fleet.order(amount_minor=10_000)
    fleet.publish(order)
    share = (
        "SELECT s.state, s.waits_for FROM shares s JOIN payments p USING (payment_id) "
        "WHERE p.order_id = %s AND s.basis = 'venue'"
    )
    waiting = {"state": "released", "waits_for": "capability"}
    fleet.wait_until(lambda: fleet.rows(share, order.log["order_id"]) == [waiting], "its share waits")

    fleet.control.set_capability(account, "transfers", "active")

    fleet.wait_until(lambda: fleet.rows(share, order.log["order_id"])[0]["state"] == "settled", "its share arrives")
    events = fleet.rows("SELECT event_type, state, payment_id FROM webhook_inbox WHERE account = %s", account)
    assert {row["state"] for row in events if row["event_type"] == "capability.updated"} == {"applied"}
    assert {row["payment_id"] for row in events} == {None}
