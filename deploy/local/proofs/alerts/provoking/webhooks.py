"""Webhooks that are forged, lost, late, or none of ours."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3

from db.reconciliation.cases import accept_case
from deploy.local.proofs.alerts.provoking.provocation import Provocation, orders, say
from deploy.local.proofs.alerts.scene import Scene
from messages.reconciliation import EventSweepDue, ReconcileDue

GRACE_SECONDS = 6.0  # a little more than a movement may be young, in the fleet of the proof


@contextmanager
def _forged_webhooks(scene: Scene) -> Iterator[None]:
    for _ in range(8):
        urllib3.request(
            "POST", f"{scene.fleet.intake}/webhooks/stripe", body=b"{}", headers={"stripe-signature": "t=1,v1=00"}
        )
        time.sleep(0.5)
    yield


@contextmanager
def _webhooks_lost(scene: Scene) -> Iterator[None]:
    rule = scene.control.add_fault("webhook_drop")
    scene.order(30)
    time.sleep(4)  # younger events could still be on their way
    say(scene, lambda due_at: EventSweepDue(due_at=due_at))
    yield
    scene.control.clear_faults(rule)


@contextmanager
def _webhooks_slow(scene: Scene) -> Iterator[None]:
    """The workers stand still again and again while somebody gives money back in Stripe's dashboard.

    Those events need a worker. Of a payment that has succeeded here already nothing would wait for one.
    """
    scene.order(20)
    paid = scene.wait_until(lambda: _paid(scene), "orders are paid")
    for (intent,) in paid:
        with scene.fleet.paused(scene.fleet.members("workers")[1:]):
            scene.stripe("/refunds", f"payment_intent={intent}&amount=100")
            time.sleep(1.5)
        time.sleep(1)
    yield


def _paid(scene: Scene) -> list[tuple[str]]:
    found = scene.rows(
        "SELECT payment_intent_id FROM payments p WHERE state = 'succeeded' "
        "AND NOT EXISTS (SELECT FROM refunds r WHERE r.payment_id = p.payment_id) LIMIT 6"
    )
    return found if len(found) == 6 else []


@contextmanager
def _foreign_payment(scene: Scene) -> Iterator[None]:
    """A payment that somebody makes at Stripe without us: an event without a payment, and money that no book knows."""
    scene.stripe("/payment_intents", "amount=500&currency=eur&payment_method=pm_card_visa&confirm=true"
                                     "&return_url=https://example.com")  # fmt: skip
    scene.wait_until(lambda: _compared_and_opened(scene), "the comparison finds it", seconds=90)
    yield
    scene.owner("UPDATE webhook_inbox SET state = 'kept', settled_at = clock_timestamp() WHERE state = 'unmatched'")
    with scene.db.ops_transaction() as tx:  # a person looks, and says so
        for (case_id,) in tx.execute("SELECT case_id FROM reconciliation_cases WHERE state = 'open'").fetchall():
            accept_case(tx, case_id, operator="alerts-proof", reason="it is none of ours")


def _compared_and_opened(scene: Scene) -> bool:
    say(scene, lambda due_at: ReconcileDue(span="rolling", due_at=due_at))
    time.sleep(GRACE_SECONDS)
    return bool(scene.rows("SELECT FROM reconciliation_cases WHERE state = 'open'"))


@contextmanager
def _sweep_behind(scene: Scene) -> Iterator[None]:
    """Stripe lists no events, else the next sweep would catch up at once; and two hours have passed so."""
    rule = scene.control.add_fault("error", path="/v1/events*", status=503, stored=False)
    time.sleep(2)  # a sweep that was under way comes to its end
    scene.owner("UPDATE event_sweep SET swept_until = swept_until - interval '2 hours'")
    yield
    scene.control.clear_faults(rule)
    scene.owner("UPDATE event_sweep SET swept_until = clock_timestamp() - interval '1 minute'")


# Before anything else can open a case, and before a Stripe that fails makes webhooks late.
FIRST = (
    Provocation(
        "a payment at Stripe that is not ours",
        frozenset({"FleetWebhooksUnmatched", "FleetCaseOpen"}),
        _foreign_payment,
    ),
    Provocation(
        "workers are stopped while webhooks arrive",
        frozenset({"FleetWebhooksBurnFast", "FleetWebhooksBurnSlow", "FleetWebhooksBurnLong"}),
        _webhooks_slow,
        orders,
    ),
)
PROVOCATIONS = (
    Provocation("webhooks with a forged signature", frozenset({"FleetWebhooksRefused"}), _forged_webhooks),
    Provocation("webhooks are lost, and the sweep finds them", frozenset({"FleetWebhooksMissing"}), _webhooks_lost),
    Provocation(
        "Stripe lists no events for two hours",
        frozenset({"FleetEventSweepBehind"}),
        _sweep_behind,
        moved_time=True,
    ),
)
