"""FAULTS 1, for disputes: a process dies while one is looked at, answered, or a warning is decided.

Each ends as if nobody had died: one submission at the bank, one refund, and every movement booked once.
"""

import pytest

from deploy.local.scenario.events import Publication
from tests.faults.points import points_of
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean

ANSWERING, LOOKING, WARNED = points_of({"dispute_answer"}), points_of({"dispute"}), points_of({"early_warning"})


def paid(fleet: Fleet) -> tuple[Publication, str]:
    """An order that was charged, and its intent."""
    [order] = fleet.orders(1)
    fleet.publish(order)
    fleet.wait_until_quiet()
    return order, fleet.payment_of(order)["payment_intent_id"]


def status(fleet: Fleet, dispute_id: str) -> str | None:
    found = fleet.rows("SELECT status FROM disputes WHERE dispute_id = %s", dispute_id)
    return found[0]["status"] if found else None


def held(fleet: Fleet) -> list[int]:
    """What stands on the account of funds that disputes hold, by venue."""
    rows = fleet.rows(
        "SELECT sum(amount_minor)::bigint AS minor FROM ledger_entries JOIN ledger_accounts a "
        "USING (tenant_id, account_id) WHERE code = 'disputed_funds' GROUP BY a.venue_id"
    )
    return [row["minor"] for row in rows]


@pytest.mark.parametrize("point", sorted(LOOKING))
def test_a_look_that_dies_is_done_again_and_books_each_movement_once(fleet: Fleet, point: str) -> None:
    _, intent = paid(fleet)
    fleet.arm(point)

    dispute_id = fleet.control.dispute(intent)["id"]
    fleet.wait_until(lambda: not fleet.crashes_left(point), f"a process died at {point}")
    fleet.wait_until(lambda: status(fleet, dispute_id) == "needs_response", "the dispute is in the book")
    fleet.control.decide_dispute(dispute_id, "lost")
    fleet.wait_until(lambda: status(fleet, dispute_id) == "lost", "the loss is in the book")

    assert_clean(fleet)
    assert set(held(fleet)) <= {0}


@pytest.mark.parametrize("point", sorted(ANSWERING))
def test_an_answer_that_dies_is_given_once(fleet: Fleet, point: str) -> None:
    _, intent = paid(fleet)
    dispute_id = fleet.control.dispute(intent, reason="product_not_received")["id"]
    fleet.wait_until(lambda: status(fleet, dispute_id) == "needs_response", "the dispute is in the book")
    fleet.arm(point)

    answer = fleet.command("dispute", "submit", dispute_id, "--reason", "scanned at the door", "--yes")

    assert answer.returncode == 0, answer.stderr
    fleet.wait_until(lambda: not fleet.crashes_left(point), f"a process died at {point}")
    fleet.wait_until(lambda: status(fleet, dispute_id) == "under_review", "the evidence is submitted")
    assert_clean(fleet)
    sent = [
        seen
        for seen in fleet.control.requests()
        if seen["path"] == f"/v1/disputes/{dispute_id}" and seen["method"] == "POST"
    ]
    assert len({seen["key"] for seen in sent}) == 1


@pytest.mark.parametrize("point", sorted(WARNED))
def test_a_warning_whose_decision_dies_is_refunded_once(fleet: Fleet, point: str) -> None:
    fleet.change("UPDATE venues SET early_fraud_policy = 'refund'")
    order, intent = paid(fleet)
    fleet.arm(point)

    fleet.control.warn_of_fraud(intent)
    fleet.wait_until(lambda: not fleet.crashes_left(point), f"a process died at {point}")
    payment_id = fleet.payment_of(order)["payment_id"]
    fleet.wait_until(
        lambda: bool(fleet.rows("SELECT FROM refunds WHERE payment_id = %s AND state = 'succeeded'", payment_id)),
        "the payment is given back",
    )

    assert_clean(fleet)
    given = [
        e
        for e in fleet.control.effects()
        if e["kind"] == "refund" and e["metadata"].get("payment_id") == str(payment_id)
    ]
    assert len(given) == 1
