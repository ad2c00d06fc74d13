"""FAULTS 1: an event of 300 orders is cancelled while processes die at every point of it.

Each buyer gets everything back exactly once, what was not captured is never taken, the counts are exact, the balance is
asked, and an order that comes too late is not charged.
"""

from uuid import uuid4

from deploy.local.scenario.events import Publication
from tests import factories
from tests.faults.points import CANCELLED_EVENT, REFUND, points_of
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean

PAID, HELD, DECLINED = 270, 20, 10
# Funds that are there at once; Stripe keeps its fee of each sale, so that the sales alone do not cover their refunds.
AT_ONCE = "pm_card_bypassPending"


def test_an_event_is_cancelled_in_spite_of_kills_and_every_buyer_is_paid_once(fleet: Fleet) -> None:
    event_id = str(uuid4())
    paid = fleet.orders(PAID, event_id=event_id, payment_method_id=AT_ONCE)
    held = fleet.orders(HELD, event_id=event_id, capture="manual")
    declined = fleet.orders(DECLINED, event_id=event_id, payment_method_id="pm_card_visa_chargeDeclined")
    fleet.publish(*paid, *held, *declined, *fleet.orders(2))
    fleet.wait_until_quiet()
    for point in points_of(REFUND | CANCELLED_EVENT):
        fleet.arm(point)

    fleet.publish(event_off(fleet, event_id))
    waits = "the balance does not cover the last of them"
    fleet.wait_until(lambda: state_of(fleet, event_id) == "waiting_for_balance", waits, timeout=120)
    assert 0 < fleet.rows("SELECT count(*) FROM refunds")[0]["count"] < PAID
    fleet.publish(fleet.order(amount_minor=10_000_000, payment_method_id=AT_ONCE))
    fleet.wait_until(lambda: state_of(fleet, event_id) == "done", "the event is cancelled", timeout=120)
    fleet.publish(late := fleet.order(event_id=event_id))
    fleet.wait_until_quiet(timeout=120)
    fleet.wait_until(lambda: not under_way(fleet), "every refund has come to its end", timeout=120)

    assert [point for point in points_of(REFUND | CANCELLED_EVENT) if fleet.crashes_left(point)] == []
    (run,) = fleet.rows("SELECT * FROM event_cancellations")
    assert (run["total"], run["refunds_asked"], run["cancellations_asked"]) == (300, PAID, HELD + DECLINED)
    assert (run["nothing_left"], run["refused"], run["pass"]) == (0, 0, 1)
    given = [effect["amount"] for effect in fleet.control.effects() if effect["kind"] == "refund"]
    assert given == [4200] * PAID
    refunds = fleet.rows("SELECT state, reason, count(*) FROM refunds GROUP BY 1, 2")
    assert [tuple(row.values()) for row in refunds] == [("succeeded", "event_cancelled", PAID)]
    assert {fleet.state_of(order) for order in (*held, *declined, late)} == {"canceled"}
    assert_clean(fleet)


def event_off(fleet: Fleet, event_id: str) -> Publication:
    tenant = fleet.tenants["Rhine Arena"]
    body = factories.event(
        {"event_id": event_id, "tenant_id": str(tenant.tenant_id), "note": "storm"},
        type="order.event_cancelled",
        dataschema="urn:payment-fleet:order.event_cancelled:1",
    )
    return Publication(body, {"published": "event cancelled"})


def state_of(fleet: Fleet, event_id: str) -> str | None:
    found = fleet.rows("SELECT state FROM event_cancellations WHERE event_id = %s", event_id)
    if found and found[0]["state"] == "waiting_for_balance":
        fleet.hurry()
    return found[0]["state"] if found else None


def under_way(fleet: Fleet) -> int:
    fleet.hurry()
    return int(fleet.rows("SELECT count(*) FROM refunds WHERE state <> 'succeeded'")[0]["count"])
