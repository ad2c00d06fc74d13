"""Processes die where shares are measured, sent, taken back, let go and settled weekly: no cent moves twice or is lost.

Each story passes several points and dies at every one of them, one after the other.
"""

from collections import Counter
from uuid import UUID, uuid4

import psycopg
import pytest

from db.operators import requests
from db.operators.requests import NewOperatorRequest
from messages.base import Message
from messages.ids import PaymentId, TenantId
from messages.reconciliation import ConnectedPayoutsDue, ShareReconciliationDue
from messages.shares import EscrowDue, OpsEscrowDue, StatementsDue
from outbox.append import append
from outbox.requests.refunds import request_refund
from tests.faults.points import CLAWBACK, ESCROW, PAID_ON, PAYING, SHARES_COMPARED, STATEMENTS, points_of
from tests.journeys.fleet import Fleet
from tests.workers.reconciliation.scenario import begin_run

ORDERS = 2


@pytest.fixture
def band(fleet: Fleet) -> UUID:
    """A recipient of a tenth of every sale of the Rhine Arena's first venue; both have an account."""
    tenant = fleet.tenants["Rhine Arena"]
    venue, band = tenant.venues[0].venue_id, uuid4()
    accounts = [str(fleet.control.account()["id"]) for _ in range(2)]
    with psycopg.connect(fleet.owner_url, autocommit=True) as owner:
        owner.execute("DELETE FROM royalty_settings")
        owner.execute("UPDATE venues SET escrow_days = NULL WHERE venue_id = %s", [venue])
        owner.execute("UPDATE recipients SET account_id = %s WHERE recipient_id = %s", [accounts[0], venue])
        owner.execute(
            "INSERT INTO recipients (tenant_id, recipient_id, kind, name, account_id, currency) "
            "VALUES (%s, %s, 'artist', 'The Band', %s, 'eur')",
            [tenant.tenant_id, band, accounts[1]],
        )
        owner.execute(
            "INSERT INTO royalty_settings (tenant_id, venue_id, sale, recipient_id, basis_points) "
            "VALUES (%s, %s, 'primary', %s, 1000)",
            [tenant.tenant_id, venue, band],
        )
    return band


def sell(fleet: Fleet) -> list[tuple[TenantId, PaymentId]]:
    """Orders that are paid; what follows may still be under way."""
    orders = fleet.orders(ORDERS, amount_minor=10_000)
    fleet.publish(*orders)
    fleet.wait_until(lambda: {fleet.state_of(order) for order in orders} == {"succeeded"}, "every order is paid")
    return [(TenantId(row["tenant_id"]), PaymentId(row["payment_id"])) for row in map(fleet.payment_of, orders)]


def due(fleet: Fleet, *messages: Message) -> None:
    with fleet.db.system_transaction() as tx:
        append(tx, *messages)


def now(fleet: Fleet) -> dict[str, object]:
    return {"due_at": fleet.rows("SELECT clock_timestamp() AS now")[0]["now"]}


def die_at(fleet: Fleet, points: list[str]) -> None:
    for point in points:
        fleet.arm(point)


def moved(fleet: Fleet, kind: str, recipient: UUID) -> Counter[int]:
    """Amounts that the bank's own recorder saw move to a recipient, or back from it."""
    of_transfers = fleet.rows("SELECT transfer_id FROM transfers WHERE recipient_id = %s", recipient)
    of_reversals = fleet.rows(
        "SELECT reversal_id FROM transfer_reversals JOIN transfers USING (tenant_id, transfer_id) "
        "WHERE recipient_id = %s",
        recipient,
    )
    mine = {str(name) for row in (*of_transfers, *of_reversals) for name in row.values()}
    return Counter(
        effect["amount"]
        for effect in fleet.control.effects()
        if effect["kind"] == kind and mine & set(map(str, effect["metadata"].values()))
    )


def all_settled(fleet: Fleet, sold: list[tuple[TenantId, PaymentId]], points: list[str]) -> None:
    """Every process died where it should, and each share of the payments came to its end; the pauses pass at once."""
    for point in points:
        fleet.wait_until(lambda point=point: not fleet.crashes_left(point), f"a process died at {point}")

    def settled() -> bool:
        fleet.hurry()
        states = fleet.rows("SELECT state FROM shares WHERE payment_id = ANY (%s)", [payment for _, payment in sold])
        return {row["state"] for row in states} == {"settled"}

    fleet.wait_until(settled, "every share is settled")
    fleet.wait_until_quiet(hurry=True)


def test_shares_reach_their_accounts_once_whoever_dies_on_the_way(fleet: Fleet, band: UUID) -> None:
    points = points_of(PAYING)
    die_at(fleet, points)

    sold = sell(fleet)

    all_settled(fleet, sold, points)
    assert moved(fleet, "transfer", band) == {1_000: ORDERS}


def test_what_a_refund_takes_of_shares_comes_back_once(fleet: Fleet, band: UUID) -> None:
    sold, points = sell(fleet), points_of(CLAWBACK)
    all_settled(fleet, sold, [])
    fleet.control.advance_clock(8 * 86_400)  # what the accounts hold has become available
    die_at(fleet, points)

    for tenant_id, payment_id in sold:
        with fleet.db.transaction(tenant_id) as tx:
            request_refund(
                tx,
                payment_id=payment_id,
                reason="requested_by_customer",
                source="ops",
                request_key=f"refund of {payment_id}",
                by="tests",
            )

    all_settled(fleet, sold, points)
    assert moved(fleet, "transfer_reversal", band) == {1_000: ORDERS}


def test_escrow_lets_each_payment_go_once(fleet: Fleet, band: UUID) -> None:
    fleet.change("UPDATE venues SET escrow_days = 3 WHERE tenant_id = %s", fleet.tenants["Rhine Arena"].tenant_id)
    sold, points = sell(fleet), points_of(ESCROW)
    fleet.wait_until_quiet()
    (tenant_id, by_wish), (_, by_time) = sold
    fleet.change(
        "INSERT INTO events (tenant_id, event_id, venue_id, ends_at) "
        "SELECT d.tenant_id, d.event_id, p.venue_id, clock_timestamp() - interval '4 days' "
        "FROM distributions d JOIN payments p USING (tenant_id, payment_id) WHERE d.payment_id = %s",
        by_time,
    )
    die_at(fleet, points)

    with fleet.db.ops_transaction() as tx:
        new = NewOperatorRequest(tenant_id, "release", by_wish, 100_000, "eur", note="a note", by="ada")
        request = requests.ask(tx, new, awaits_approval=False)
        append(tx, OpsEscrowDue(tenant_id=tenant_id, payment_id=by_wish, wish_id=request.request_id))
    due(fleet, EscrowDue.model_validate(now(fleet)))

    all_settled(fleet, sold, points)
    assert moved(fleet, "transfer", band) == {1_000: ORDERS}
    released = fleet.rows("SELECT count(*) FROM share_history WHERE to_state = 'released' AND by IN ('ada', 'escrow')")
    assert released[0]["count"] == 2 * ORDERS


def test_a_week_is_settled_once(fleet: Fleet, band: UUID) -> None:
    fleet.change("UPDATE recipients SET settlement = 'weekly' WHERE recipient_id = %s", band)
    fleet.control.adjust_balance(1_000_000, "eur")
    sold, points = sell(fleet), points_of(STATEMENTS)
    fleet.wait_until_quiet()
    fleet.change("ALTER TABLE shares DISABLE TRIGGER a_share_moves_legally")
    fleet.change("UPDATE shares SET state_since = state_since - interval '7 days' WHERE recipient_id = %s", band)
    fleet.change("ALTER TABLE shares ENABLE TRIGGER a_share_moves_legally")
    die_at(fleet, points)

    due(fleet, StatementsDue.model_validate(now(fleet)))

    all_settled(fleet, sold, points)
    assert moved(fleet, "transfer", band) == {1_000 * ORDERS: 1}
    assert fleet.rows("SELECT count(*) FROM statements")[0]["count"] == 1


def test_a_comparison_of_shares_that_dies_goes_on_where_it_stood(fleet: Fleet, band: UUID) -> None:
    sold = sell(fleet)
    all_settled(fleet, sold, [])
    with psycopg.connect(fleet.owner_url, autocommit=True) as owner:
        begin_run(owner, "shares_rolling", until="1 hour")
    points = points_of(SHARES_COMPARED)
    die_at(fleet, points)

    due(fleet, ShareReconciliationDue.model_validate(now(fleet) | {"span": "rolling"}))

    done = "SELECT FROM reconciliation_runs WHERE span = 'shares_rolling' AND state = 'done'"
    fleet.wait_until(lambda: bool(fleet.rows(done)), "the comparison is done")
    assert not any(map(fleet.crashes_left, points))
    # Sales of the tests before were cut by settings that have been deleted since, which is a case rightly.
    differing = (
        "SELECT FROM reconciliation_cases WHERE type = 'share_differs' AND state = 'open' AND payment_id = ANY (%s)"
    )
    assert not fleet.rows(differing, [payment_id for _, payment_id in sold])


def test_a_payout_of_a_recipient_is_known_with_its_contents_whoever_died_on_the_way(fleet: Fleet, band: UUID) -> None:
    all_settled(fleet, sell(fleet), [])
    account = fleet.rows("SELECT account_id FROM recipients WHERE recipient_id = %s", band)[0]["account_id"]
    fleet.control.advance_clock(8 * 86_400)
    (payout,) = fleet.control.pay_out(account)
    fleet.control.advance_clock(3 * 86_400)
    points = points_of(PAID_ON)
    die_at(fleet, points)

    for _ in points:
        due(fleet, ConnectedPayoutsDue.model_validate(now(fleet) | {"account_id": account}))

    listed = "SELECT FROM connected_payouts WHERE payout_id = %s AND listed_at IS NOT NULL"
    fleet.wait_until(lambda: bool(fleet.rows(listed, payout["id"])), "the payout is known with its contents")
    for point in points:
        fleet.wait_until(lambda point=point: not fleet.crashes_left(point), f"a process died at {point}")
