"""Payouts of connected accounts: followed by event and by look, what each contained, and paid ones that come back."""

from datetime import UTC, datetime

import psycopg
import pytest

from db.monitoring import gauges
from db.payouts import views as payout_views
from db.payouts.views import PayoutRow
from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from messages.reconciliation import ConnectedPayoutsDue
from stripe_client.gateway import Gateway
from tests.workers.shares.scenario import Market, market
from tests.workers.webhooks.scenario import drain
from workers.payouts.account_payouts import connected_payouts

WEEK = 8 * 86_400


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    return market(db, owner, gateway, stripe_control)


def look(place: Market, account_id: str | None = None) -> None:
    connected_payouts(ConnectedPayoutsDue(due_at=datetime.now(UTC), account_id=account_id), place.db, place.gateway)


def known(place: Market) -> list[PayoutRow]:
    with place.db.ops_transaction() as tx:
        return payout_views.payouts(tx, recipient_id=None, failed=False, limit=50)


def paid_out(place: Market) -> str:
    (payout,) = place.control.pay_out(place.artist_account)
    place.control.advance_clock(3 * 86_400)
    return str(payout["id"])


def test_a_payout_is_known_with_the_transfers_and_reversals_it_contained(place: Market) -> None:
    first, second = place.sell(amount_minor=10_000), place.sell(amount_minor=5_000)
    place.work()
    place.control.advance_clock(WEEK)
    place.give_back(first, 5_000)
    payout_id = paid_out(place)

    for _ in range(2):
        look(place, place.artist_account)

    (row,) = known(place)
    assert (row.payout_id, row.amount_minor, row.state, row.names) == (payout_id, 1_000, "paid", "The Band")
    with place.db.ops_transaction() as tx:
        contents = payout_views.contents(tx, payout_id)
    assert sorted((one.net_minor, one.payment_id) for one in contents) == sorted(
        [(-500, first.payment_id), (500, second.payment_id), (1_000, first.payment_id)]
    )


def test_a_payout_that_comes_back_after_it_was_paid_says_both_and_stays_so(place: Market) -> None:
    place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(WEEK)
    payout_id = paid_out(place)
    look(place, place.artist_account)
    place.control.finish_payout(payout_id, "failed", code="account_closed", account=place.artist_account)

    look(place, place.artist_account)
    look(place, place.artist_account)

    (row,) = known(place)
    assert (row.state, row.failure_code) == ("paid, then failed", "account_closed")
    with pytest.raises(psycopg.errors.RestrictViolation):
        place.owner.execute("UPDATE connected_payouts SET status = 'paid'")


def test_an_account_without_its_last_payout_is_counted_until_the_next_one_arrives(place: Market) -> None:
    assert without_last_payout(place) == 0
    place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(WEEK)
    payout_id = paid_out(place)
    look(place, place.artist_account)
    assert without_last_payout(place) == 0
    place.control.finish_payout(payout_id, "failed", code="account_closed", account=place.artist_account)
    look(place, place.artist_account)
    assert without_last_payout(place) == 1

    paid_out(place)
    look(place, place.artist_account)

    assert [row.state for row in known(place)] == ["paid", "paid, then failed"]
    assert without_last_payout(place) == 0


def without_last_payout(place: Market) -> int:
    with place.db.system_transaction() as tx:
        return gauges.payouts_that_came_back(tx)


def test_the_periodic_look_asks_for_each_account_once_an_hour(place: Market) -> None:
    look(place)
    look(place)

    asked = place.owner.execute(
        "SELECT convert_from(body, 'utf8')::jsonb #>> '{kwargs,payload,account_id}' FROM outbox "
        "WHERE kind = 'connected_payouts'"
    ).fetchall()
    assert sorted(account for (account,) in asked) == sorted([place.venue_account, place.artist_account])


def test_what_lies_in_an_account_is_kept_beside_what_the_ledger_owes(place: Market) -> None:
    place.sell(amount_minor=10_000)
    place.work()

    look(place, place.artist_account)

    with place.db.ops_transaction() as tx:
        balances = {row.kind: row for row in payout_views.balances(tx, tenant_id=place.tenant.tenant_id)}
    assert (balances["artist"].payable_minor, balances["artist"].pending_minor) == (0, 1_000)
    assert (balances["venue"].payable_minor, balances["venue"].pending_minor) == (0, None)


def test_an_account_that_no_recipient_names_is_left_alone(place: Market) -> None:
    look(place, "acct_stranger")

    assert known(place) == []


def test_an_event_of_an_account_has_its_payouts_looked_at(place: Market) -> None:
    place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(WEEK)
    paid_out(place)

    listed = place.gateway.send("get", "/v1/events", {"type": "payout.paid"}, account_id=place.artist_account).data
    drain(place.db, place.gateway, [event | {"account": place.artist_account} for event in listed["data"]])

    assert place.owner.execute("SELECT count(*) FROM outbox WHERE kind = 'connected_payouts'").fetchone() == (1,)
