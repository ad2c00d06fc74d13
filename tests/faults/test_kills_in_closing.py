"""FAULTS 1, for what closes the books: a process dies while Stripe's events are swept, or a payout is taken apart.

The next delivery goes on where the dead one stood: each event is taken in once, each tenant's part is booked once.
"""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from db.tenants.tenants import Tenant, Venue
from messages.base import Message
from messages.fees import FeePlan
from messages.ids import TenantId, VenueId
from messages.reconciliation import EventSweepDue, PayoutsDue
from outbox.append import append
from tests.faults.points import CLOSING, points_of
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean
from tests.workers.reconciliation.scenario import at_once

SWEEPING, PAYING_OUT = points_of({"event_sweep"}), points_of({"payouts"})
AVAILABLE_AT_ONCE = "pm_card_bypassPending"


def test_both_families_are_killed_here() -> None:
    assert points_of(CLOSING) == SWEEPING + PAYING_OUT


@pytest.mark.parametrize("point", SWEEPING)
def test_a_sweep_that_dies_takes_in_what_no_webhook_told_once(fleet: Fleet, point: str) -> None:
    [order] = orders = fleet.orders(1)
    fleet.publish(*orders)
    fleet.wait_until_quiet()
    payment_id = fleet.payment_of(order)["payment_id"]
    fleet.control.add_fault("webhook_drop")
    fleet.gateway.v1.refunds.create({"payment_intent": fleet.payment_of(order)["payment_intent_id"], "amount": 300})
    fleet.arm(point)

    def refunded() -> list[dict[str, object]]:
        queue(fleet, EventSweepDue(due_at=datetime.now(UTC)))  # the first may still find the event too young
        return fleet.rows("SELECT amount_minor FROM refunds WHERE payment_id = %s", payment_id)

    fleet.wait_until(lambda: bool(refunded()), "the sweep has found the refund", poll=0.5)

    assert not fleet.crashes_left(point)
    assert_clean(fleet)
    assert [row["amount_minor"] for row in refunded()] == [300]
    booked = "SELECT count(*) FROM ledger_journals WHERE payment_id = %s AND kind = 'refund'"
    assert fleet.rows(booked, payment_id) == [{"count": 1}]


@pytest.mark.parametrize("point", PAYING_OUT)
def test_a_payout_whose_booking_dies_is_booked_once_for_each_tenant(
    fleet: Fleet, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch)
    neighbour = Tenant(TenantId(uuid4()), "Next", (Venue(VenueId(uuid4()), "Hall", "eur", FeePlan(500, 50, "eur")),))
    fleet.register(neighbour)
    fleet.publish(*(fleet.order(who, payment_method_id=AVAILABLE_AT_ONCE) for who in ("Rhine Arena", neighbour)))
    fleet.wait_until_quiet()
    [payout] = fleet.control.pay_out()
    fleet.control.advance_clock(61)  # until then Stripe does not tell what it contained
    fleet.arm(point)

    queue(fleet, PayoutsDue(due_at=datetime.now(UTC)))
    booked = "SELECT FROM payouts WHERE payout_id = %s AND booked_at IS NOT NULL"
    fleet.wait_until(lambda: bool(fleet.rows(booked, payout["id"])), "the payout is booked")

    assert not fleet.crashes_left(point)
    parts = journals(fleet, payout["id"])
    assert sum(parts.values()) == payout["amount"]
    assert neighbour.tenant_id in parts
    assert fleet.reconcile() == []
    assert_clean(fleet)


def queue(fleet: Fleet, message: Message) -> None:
    with fleet.db.system_transaction() as tx:
        append(tx, message)


def journals(fleet: Fleet, payout_id: str) -> dict[UUID, int]:
    """What this payout's journals brought to the bank, by tenant."""
    rows = fleet.rows(
        "SELECT tenant_id, sum(amount_minor)::bigint AS minor FROM ledger_entries "
        "JOIN ledger_journals USING (tenant_id, journal_id) JOIN ledger_accounts a USING (tenant_id, account_id) "
        "WHERE source_id = %s AND a.code = 'bank' GROUP BY tenant_id",
        payout_id,
    )
    return {row["tenant_id"]: row["minor"] for row in rows}
