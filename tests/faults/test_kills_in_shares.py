"""FAULTS 1, for shares: a process dies while a share is measured, sent, taken back, released, compared or settled.

Each ends as if nobody had died: every share settled, and one transfer at Stripe for each transfer of the book.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from deploy.local.day.order_service import wish
from deploy.local.demo.sale import Publication
from deploy.local.shares.market import open_market
from messages.orders import RefundOfOrderRequested
from messages.reconciliation import ShareReconcileDue
from messages.shares import EscrowDue, StatementsDue
from outbox.append import append
from tests.faults.points import points_of
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean

MAIN_HALL, CLUB_STAGE = 0, 1  # venues of Rhine Arena; the second holds shares until its event is over


def sell(fleet: Fleet, place: int = MAIN_HALL, **changes: Any) -> Publication:
    """An order whose venue and artist have accounts at Stripe."""
    with psycopg.connect(fleet.owner_url, autocommit=True) as owner:
        open_market(owner, fleet.control, [fleet.tenants["Rhine Arena"]], sellers=0)
    venue = fleet.tenants["Rhine Arena"].venues[place].venue_id
    order = fleet.order("Rhine Arena", venue_id=str(venue), **changes)
    fleet.publish(order)
    return order


def wait_until_all_died(fleet: Fleet, points: list[str]) -> None:
    fleet.wait_until(lambda: not any(map(fleet.crashes_left, points)), f"somebody died at each of {points}")


def wait_until_settled(fleet: Fleet, order: Publication) -> None:
    left = "SELECT FROM shares s JOIN payments p USING (tenant_id, payment_id) WHERE p.order_id = %s"
    name = order.log["order_id"]
    fleet.wait_until(
        lambda: bool(fleet.rows(left, name)) and not fleet.rows(f"{left} AND s.state <> 'settled'", name),
        "every share is settled",
    )


def assert_sent_once(fleet: Fleet) -> None:
    for kind, name in (("transfer", "transfer_id"), ("transfer_reversal", "reversal_id")):
        made = Counter(one["metadata"][name] for one in fleet.control.effects() if one["kind"] == kind)
        assert set(made.values()) <= {1}, made


def test_a_share_whose_way_dies_at_each_point_arrives_once(fleet: Fleet) -> None:
    points = points_of({"share", "transfer"})
    for point in points:
        fleet.arm(point)

    order = sell(fleet)
    wait_until_all_died(fleet, points)
    wait_until_settled(fleet, order)

    assert_clean(fleet)
    assert_sent_once(fleet)
    assert len([one for one in fleet.control.effects() if one["kind"] == "transfer"]) == 2


def test_a_share_that_is_taken_back_while_processes_die_comes_back_once(fleet: Fleet) -> None:
    order = sell(fleet)
    wait_until_settled(fleet, order)
    points = points_of({"transfer_reversal"})
    for point in points:
        fleet.arm(point)

    payment = fleet.payment_of(order)
    whose = {"order_id": order.log["order_id"], "tenant_id": str(payment["tenant_id"])}
    fleet.publish(wish(RefundOfOrderRequested.event_type, whose, "kills"))
    wait_until_all_died(fleet, points)
    fleet.wait_until(
        lambda: not fleet.rows("SELECT FROM transfers WHERE payment_id = %s AND reversed_minor < amount_minor",
                               payment["payment_id"]),
        "both transfers came back",
    )  # fmt: skip
    wait_until_settled(fleet, order)

    assert_clean(fleet)
    assert_sent_once(fleet)


def test_escrow_that_dies_while_it_lets_go_lets_go_once(fleet: Fleet) -> None:
    order = sell(fleet, CLUB_STAGE, event_ends_at=(datetime.now(UTC) - timedelta(days=3)).isoformat())
    fleet.wait_until_quiet()
    points = points_of({"escrow"})
    for point in points:
        fleet.arm(point)

    for _ in points:
        with fleet.db.system_transaction() as tx:
            append(tx, EscrowDue(due_at=datetime.now(UTC)))
    another = sell(fleet, CLUB_STAGE, event_ends_at=(datetime.now(UTC) - timedelta(days=3)).isoformat())
    fleet.wait_until_quiet()
    with fleet.db.system_transaction() as tx:
        append(tx, EscrowDue(due_at=datetime.now(UTC)))
    wait_until_all_died(fleet, points)
    wait_until_settled(fleet, order)
    wait_until_settled(fleet, another)

    assert_clean(fleet)
    released = fleet.rows("SELECT share_id FROM share_history WHERE from_state = 'held' AND to_state = 'released'")
    assert len(released) == len({row["share_id"] for row in released}) == 4


def test_a_week_whose_settlement_dies_is_settled_once_and_so_is_a_comparison(fleet: Fleet) -> None:
    wait_until_settled(fleet, sell(fleet))
    fleet.change("UPDATE recipients SET settlement = 'weekly' WHERE kind = 'artist'")
    order = sell(fleet)
    fleet.wait_until(
        lambda: bool(fleet.rows("SELECT FROM shares WHERE waits_for = 'statement'")), "a share waits for its week"
    )
    fleet.change("UPDATE shares SET state_since = state_since - interval '8 days' WHERE waits_for = 'statement'")
    fleet.change(
        "INSERT INTO reconciliation_runs (span, window_from, window_until, searched_until) VALUES "
        "('shares_rolling', now() - interval '1 hour', now() + interval '1 hour', now() - interval '1 hour')"
    )
    fleet.control.adjust_balance(100_000, "eur")  # a statement's transfer draws on no charge
    points = points_of({"statements", "royalty_reconcile"})
    for point in points:
        fleet.arm(point)

    with fleet.db.system_transaction() as tx:
        append(tx, StatementsDue(due_at=datetime.now(UTC)), ShareReconcileDue(span="rolling", due_at=datetime.now(UTC)))
    wait_until_all_died(fleet, points)
    wait_until_settled(fleet, order)

    assert_clean(fleet)
    assert_sent_once(fleet)
    fleet.change("UPDATE recipients SET settlement = 'immediate'")
