"""What follows a sale for those who have a part in it: accounts that may not receive, recipients who owe, money held
for too long, transfers that somebody takes back by hand, payouts that a bank refuses, groups that nobody moves.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from deploy.local.proofs.alerts.provoking.provocation import Provocation, give_back, say, stopped
from deploy.local.proofs.alerts.scene import Scene
from deploy.local.scenario import groups, orders
from messages.ids import PaymentId, TenantId
from messages.reconciliation import ShareReconciliationDue
from messages.shares import EscrowDue

OPEN_SALE, HELD_SALE = "Pier 7", "Club Stage"  # deploy/local/scenario/recipients.py: the second one has an escrow
RECONCILE_GRACE_SECONDS = 6.0  # a little more than the fleet of the proof has
FUNDS_SECONDS = 2.0
_PAID_OUT_TO_ARTISTS = """
    SELECT t.tenant_id, t.payment_id, t.account_id, t.stripe_transfer_id FROM transfers t
    JOIN recipients r ON (r.tenant_id, r.recipient_id) = (t.tenant_id, t.recipient_id) AND r.name LIKE 'The Band of%%'
    WHERE t.state = 'paid' AND t.reversed_minor = 0
      AND NOT EXISTS (SELECT FROM refunds f WHERE f.payment_id = t.payment_id)
    ORDER BY t.state_since DESC LIMIT 1
"""


@contextmanager
def _account_may_not_receive(scene: Scene) -> Iterator[None]:
    account = scene.one("SELECT account_id FROM recipients WHERE name = %s", OPEN_SALE)
    scene.control.set_capability(account, "transfers", "inactive")
    scene.wait_one("SELECT 1 FROM connected_accounts WHERE account_id = %s AND transfers = 'inactive'", account)
    scene.order_at(OPEN_SALE, 2)
    scene.wait_one("SELECT 1 FROM shares WHERE state = 'released' AND waits_for = 'capability'")
    scene.past_the_guards(
        "UPDATE shares SET state_since = state_since - interval '4 days' WHERE waits_for = 'capability'"
    )
    _look_at_escrow(scene)
    yield
    scene.control.set_capability(account, "transfers", "active")
    scene.wait_until(
        lambda: not scene.rows("SELECT FROM shares WHERE waits_for = 'capability' AND state = 'released'"),
        "the shares have gone",
    )
    _look_at_escrow(scene)


@contextmanager
def _account_is_empty(scene: Scene) -> Iterator[None]:
    """The artist's money has left for the bank when a buyer gets it all back."""
    scene.order_at(OPEN_SALE, 8)
    scene.wait_until(lambda: _is_owed(scene), "somebody owes", seconds=120)
    _look_at_escrow(scene)
    yield


def _is_owed(scene: Scene) -> bool:
    """Others pay into the account meanwhile, so one sale after another is given back."""
    for tenant_id, payment_id, account, _ in scene.rows(_PAID_OUT_TO_ARTISTS):
        scene.control.pay_out(account)
        give_back(scene, TenantId(tenant_id), PaymentId(payment_id))
        time.sleep(FUNDS_SECONDS)
    return bool(scene.rows("SELECT FROM share_receivables"))


@contextmanager
def _held_for_months(scene: Scene) -> Iterator[None]:
    """Nobody says when the event ends, and Stripe's limit comes near (ninety days; for dollars it would be years)."""
    scene.order_at(HELD_SALE, 1)
    held = "SELECT payment_id FROM shares WHERE state = 'held' AND currency = 'eur' ORDER BY state_since DESC LIMIT 1"
    payment_id = scene.wait_one(held)
    moved = "UPDATE distributions SET frozen_at = frozen_at {} interval '80 days' WHERE payment_id = '{}'"
    scene.past_the_guards(moved.format("-", payment_id))
    _look_at_escrow(scene)
    yield
    scene.past_the_guards(moved.format("+", payment_id))
    _look_at_escrow(scene)


@contextmanager
def _taken_back_by_hand(scene: Scene) -> Iterator[None]:
    """Somebody reverses a part of a transfer at Stripe, past the fleet."""
    scene.order_at(OPEN_SALE, 1)
    transfer_id = scene.wait_row(_PAID_OUT_TO_ARTISTS)[3]
    time.sleep(FUNDS_SECONDS)
    scene.stripe(f"/transfers/{transfer_id}/reversals", "amount=7")
    time.sleep(RECONCILE_GRACE_SECONDS)
    _compare_shares(scene)
    yield


@contextmanager
def _bank_refuses_a_payout(scene: Scene) -> Iterator[None]:
    scene.order_at(OPEN_SALE, 1)
    account = scene.wait_row(_PAID_OUT_TO_ARTISTS)[2]
    time.sleep(FUNDS_SECONDS)
    for payout in scene.control.pay_out(account):
        scene.control.finish_payout(payout["id"], "failed", code="account_closed", account=account)
    yield
    for payout in scene.control.pay_out(account):  # the bank account was put right
        scene.control.finish_payout(payout["id"], "paid", account=account)


@contextmanager
def _group_stands(scene: Scene) -> Iterator[None]:
    """A group's deadline is over, and no worker is there to see it."""
    opened = groups.groups(orders.publications(orders=1, seed=11, run=uuid4().hex), count=1, seed=1, run=uuid4().hex)
    scene.service.publish_now(opened.opened)
    group_id = json.loads(opened.opened[0].body)["data"]["group_id"]
    scene.wait_one("SELECT 1 FROM groups WHERE group_id = %s", group_id)
    with stopped("workers")(scene):
        scene.past_the_guards(
            f"UPDATE groups SET deadline = clock_timestamp() - interval '40 minutes' WHERE group_id = '{group_id}'"
        )
        yield


def _compare_shares(scene: Scene) -> None:
    say(scene, lambda due_at: ShareReconciliationDue(span="rolling", due_at=due_at))


def _look_at_escrow(scene: Scene) -> None:
    say(scene, lambda due_at: EscrowDue(due_at=due_at))


# Those that empty accounts stand last.
PROVOCATIONS = (
    Provocation(
        "somebody reverses a part of a transfer by hand, at Stripe",
        frozenset({"FleetShareDiffers"}),
        _taken_back_by_hand,
        settle=_compare_shares,
    ),
    Provocation(
        "an account may not receive its share",
        frozenset({"FleetShareStuck"}),
        _account_may_not_receive,
        moved_time=True,
    ),
    Provocation(
        "shares are held for nearly as long as Stripe allows",
        frozenset({"FleetEscrowNearLimit"}),
        _held_for_months,
        moved_time=True,
    ),
    Provocation("the bank refuses an artist's payout", frozenset({"FleetPayoutCameBack"}), _bank_refuses_a_payout),
    Provocation(
        "a group's deadline is over while the workers are stopped",
        frozenset({"FleetGroupsStand"}),
        _group_stands,
        moved_time=True,
    ),
    Provocation(
        "a sale is refunded after its artist's account was paid out",
        frozenset({"FleetRecipientOwes"}),
        _account_is_empty,
    ),
)
