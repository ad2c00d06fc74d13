"""The page of payouts: what left accounts for banks, what each contained, and what everybody still has."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from messages.reconciliation import ConnectedPayoutsDue
from stripe_client.gateway import Gateway
from tests.workers.shares.scenario import Market, market
from workers.payouts.account_payouts import connected_payouts


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    return market(db, owner, gateway, stripe_control)


def test_a_payout_that_came_back_its_contents_and_the_balances_are_shown(as_: Any, place: Market) -> None:
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(8 * 86_400)
    (payout,) = place.control.pay_out(place.artist_account)
    place.control.advance_clock(3 * 86_400)
    place.control.finish_payout(payout["id"], "failed", code="account_closed", account=place.artist_account)
    due = ConnectedPayoutsDue(due_at=datetime.now(UTC), account_id=place.artist_account)
    connected_payouts(due, place.db, place.gateway)
    rita = as_("rita", "reader")

    page, detail = rita.get("/payouts?show=failed").text, rita.get(f"/payouts/{payout['id']}").text

    assert f"/payouts/{payout['id']}" in page
    assert "10.00 EUR" in page.partition("Balances")[2]
    assert "account_closed" in detail
    assert f"/shares/payments/{payment.payment_id}" in detail
    assert rita.get("/payouts/po_nobody").status_code == 404
