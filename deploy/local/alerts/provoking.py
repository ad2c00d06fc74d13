"""What is done to the fleet so that each alert has its reason. Most reasons are real: a server that is killed, a Stripe
that fails, a key that is refused. Where only days would bring it, the owner of the schema moves a time; it says so.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import pika
import psycopg
import urllib3

from db.cases import CaseType, open_case
from deploy.local.alerts.scene import Scene
from deploy.local.chaos.back_office import Request
from deploy.local.demo import sale
from messages.ids import PaymentId, TenantId
from messages.reconciliation import EventSweepDue
from messages.sweeps import SweepDue
from outbox.append import append
from outbox.refunding import request_refund


@dataclass(frozen=True, slots=True)
class Provocation:
    """`what` happens while the block of `how` is open; `keep` is done again and again meanwhile."""

    what: str
    alerts: frozenset[str]
    how: Callable[[Scene], AbstractContextManager[None]]
    keep: Callable[[Scene], None] = lambda _scene: None
    moved_time: bool = False


def _orders(scene: Scene) -> None:
    scene.order(4)


def _refunds(scene: Scene) -> None:
    """Half of a payment that succeeded, for some."""
    with scene.system() as tx:
        rows = tx.execute(
            "SELECT tenant_id, payment_id FROM payments p WHERE state = 'succeeded' AND NOT EXISTS "
            "(SELECT FROM refunds r WHERE r.payment_id = p.payment_id) LIMIT 3"
        ).fetchall()
    for tenant_id, payment_id in rows:
        with scene.db.transaction(TenantId(tenant_id)) as tx:
            request_refund(
                tx,
                payment_id=PaymentId(payment_id),
                reason="requested_by_customer",
                source="ops",
                request_key=str(uuid4()),
                by="alerts-proof",
            )


def _both(scene: Scene) -> None:
    _orders(scene)
    _refunds(scene)


@contextmanager
def _stripe_fails(scene: Scene) -> Iterator[None]:
    rule = scene.control.add_fault("error", path="/v1/*", status=503, stored=False)
    yield
    scene.control.clear_faults(rule)


@contextmanager
def _key_refused(scene: Scene) -> Iterator[None]:
    rule = scene.control.add_fault("error", path="/v1/payment_intents*", status=401, stored=False)
    yield
    scene.control.clear_faults(rule)


@contextmanager
def _stripe_limits(scene: Scene) -> Iterator[None]:
    rule = scene.control.add_fault("rate_limit", path="/v1/payment_intents*", reason="endpoint-rate", probability=0.8)
    yield
    scene.control.clear_faults(rule)


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
    due_at = _now(scene)
    with scene.system() as tx:
        append(tx, EventSweepDue(due_at=due_at))
    yield
    scene.control.clear_faults(rule)


@contextmanager
def _webhooks_slow(scene: Scene) -> Iterator[None]:
    """The workers stand still again and again while webhooks come in."""
    scene.order(20)
    for _ in range(4):
        with scene.fleet.paused(scene.fleet.members("workers")[1:3]):
            scene.order(10)
            time.sleep(1.5)
        time.sleep(1.5)
    yield


@contextmanager
def _foreign_event(scene: Scene) -> Iterator[None]:
    """A payment that somebody makes at Stripe without us."""
    environment = scene.fleet.stack.environment()
    urllib3.request(
        "POST",
        f"{environment['STRIPE_API_BASE']}/v1/payment_intents",
        body="amount=500&currency=eur&payment_method=pm_card_visa&confirm=true&return_url=https://example.com",
        headers={
            "authorization": f"Bearer {environment['STRIPE_SECRET_KEY']}",
            "stripe-version": "2026-10-28.endive",
            "content-type": "application/x-www-form-urlencoded",
        },
    )
    yield
    scene.owner("UPDATE webhook_inbox SET state = 'kept', settled_at = clock_timestamp() WHERE state = 'unmatched'")


@contextmanager
def _sweep_behind(scene: Scene) -> Iterator[None]:
    scene.owner("UPDATE event_sweep SET swept_until = swept_until - interval '2 hours'")
    yield
    scene.owner("UPDATE event_sweep SET swept_until = clock_timestamp() - interval '1 minute'")


@contextmanager
def _broker_killed(scene: Scene) -> Iterator[None]:
    scene.fleet.stack.rabbitmq.kill()
    _refunds(scene)  # rows come into the outbox, and cannot leave it
    yield
    scene.fleet.stack.rabbitmq.start()


@contextmanager
def _queue_gone(scene: Scene) -> Iterator[None]:
    """The broker returns what nobody could ever get: here a queue was deleted, and nobody declares it meanwhile."""
    scene.fleet.stop("workers", 15)
    url = pika.URLParameters(scene.fleet.stack.rabbitmq.url)
    with pika.BlockingConnection(url) as connection:
        connection.channel().queue_delete("refunds")
    _refunds(scene)
    yield
    scene.fleet.start("workers")


@contextmanager
def _database_killed(scene: Scene) -> Iterator[None]:
    scene.fleet.stack.postgres.kill()
    yield
    scene.fleet.stack.postgres.start()


@contextmanager
def _cache_killed(scene: Scene) -> Iterator[None]:
    scene.fleet.stack.valkey.kill()
    yield
    scene.fleet.stack.valkey.start()


def _stopped(*names: str) -> Callable[[Scene], AbstractContextManager[None]]:
    @contextmanager
    def stop(scene: Scene) -> Iterator[None]:
        for name in names:
            scene.fleet.stop(name, 15)
        yield
        for name in names:
            scene.fleet.start(name)

    return stop


@contextmanager
def _worker_stands(scene: Scene) -> Iterator[None]:
    with scene.fleet.paused(scene.fleet.members("workers")[1:2]):
        yield


@contextmanager
def _ledger_forged(scene: Scene) -> Iterator[None]:
    scene.superuser(
        "SET session_replication_role = replica; "
        "INSERT INTO ledger_entries SELECT tenant_id, journal_id, 99, account_id, 5, currency "
        "FROM ledger_entries LIMIT 1"
    )
    yield
    scene.superuser("SET session_replication_role = replica; DELETE FROM ledger_entries WHERE line = 99")


@contextmanager
def _snapshot_held(scene: Scene) -> Iterator[None]:
    with psycopg.connect(scene.fleet.stack.postgres.superuser_url()) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM payments")
        yield
        connection.rollback()


@contextmanager
def _right_taken(scene: Scene) -> Iterator[None]:
    scene.owner("REVOKE SELECT ON disputes FROM fleet_system")
    yield
    scene.owner("GRANT SELECT ON disputes TO fleet_system")


@contextmanager
def _money_waits(scene: Scene) -> Iterator[None]:
    """Days pass for: a hold, a refund at the bank, one that failed, a dispute, a comparison that was not made."""
    statements = [
        "UPDATE payments SET capture_before = clock_timestamp() + interval '20 hours' WHERE state = 'authorized'",
        "UPDATE refunds SET state_since = clock_timestamp() - interval '6 days' WHERE state = 'pending'",
        "UPDATE disputes SET evidence_due_at = clock_timestamp() + interval '20 hours'",
        "UPDATE reconciliation_runs SET finished_at = finished_at - interval '3 days' WHERE state = 'done'",
    ]
    _make_hold_refunds_and_dispute(scene)
    for statement in statements:
        scene.owner(statement)
    due_at = _now(scene)
    with scene.system() as tx:
        append(tx, SweepDue(due_at=due_at))
        open_case(tx, type=CaseType.MISSING_IN_BOOK, subject="txn_proof", details="for the proof of an alert")
    yield


def _make_hold_refunds_and_dispute(scene: Scene) -> None:
    scene.order_held()
    scene.order(10)
    time.sleep(6)
    _refunds(scene)
    scene.order(10)  # one of which is disputed
    time.sleep(8)
    with scene.system() as tx:
        refunds = tx.execute(
            "SELECT stripe_refund_id FROM refunds WHERE state IN ('succeeded', 'pending') ORDER BY created_at LIMIT 2"
        ).fetchall()
        charge = tx.execute(
            "SELECT payment_intent_id FROM payments p WHERE state = 'succeeded' "
            "AND NOT EXISTS (SELECT FROM refunds r WHERE r.payment_id = p.payment_id) LIMIT 1"
        ).fetchone()
    scene.control.finish_refund(refunds[0][0], "fail")
    assert charge is not None, "payments succeeded while all was well"
    scene.control.dispute(charge[0])
    scene.owner(
        "INSERT INTO refunds (tenant_id, payment_id, amount_minor, currency, reason, source, request_key, "
        "requested_by, stripe_refund_id, state, state_by) "
        "SELECT tenant_id, payment_id, 1, currency, 'outside', 'outside', 'alerts-proof', 'alerts-proof', "
        "'re_alertsproof', 'pending', 'alerts-proof' FROM payments p WHERE state = 'succeeded' "
        "AND NOT EXISTS (SELECT FROM refunds r WHERE r.payment_id = p.payment_id) "
        "AND NOT EXISTS (SELECT FROM disputes d WHERE d.payment_id = p.payment_id) LIMIT 1"
    )
    time.sleep(3)


@contextmanager
def _letters(scene: Scene) -> Iterator[None]:
    scene.put("fleet.orders", b"this is no order")
    scene.put("webhooks", b"this is no message")
    yield


def _ask_api(scene: Scene) -> None:
    """Somebody asks for money back, and hears a 5xx while the database is away."""
    tenant_id = str(sale.tenants()[0].tenant_id)
    scene.office.ask(Request(tenant_id, f"/payments/{uuid4()}/refunds", {}, str(uuid4())))


def _now(scene: Scene) -> datetime:
    with scene.system() as tx:
        row = tx.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    now: datetime = row[0]
    return now


PROVOCATIONS = (
    Provocation(
        "Stripe answers everything with 503",
        frozenset(
            {
                *("FleetStripeFailing", "FleetStripeBreakerOpen", "FleetStripeAway", "FleetRetriesMany"),
                *("FleetPaymentsStand", "FleetPaymentsBurnFast", "FleetPaymentsBurnSlow", "FleetPaymentsBurnLong"),
                *("FleetRefundsStand", "FleetRefundsBurnFast", "FleetRefundsBurnSlow", "FleetRefundsBurnLong"),
            }
        ),
        _stripe_fails,
        _both,
    ),
    Provocation("Stripe refuses the key", frozenset({"FleetStripeKeyRefused"}), _key_refused, _orders),
    Provocation("Stripe limits our requests", frozenset({"FleetStripeLimitsUs"}), _stripe_limits, _orders),
    Provocation("webhooks with a forged signature", frozenset({"FleetWebhooksRefused"}), _forged_webhooks),
    Provocation("webhooks are lost, and the sweep finds them", frozenset({"FleetWebhooksMissing"}), _webhooks_lost),
    Provocation(
        "workers stand still while webhooks come in",
        frozenset({"FleetWebhooksBurnFast", "FleetWebhooksBurnSlow", "FleetWebhooksBurnLong"}),
        _webhooks_slow,
        _orders,
    ),
    Provocation("a payment at Stripe that is none of ours", frozenset({"FleetWebhooksUnmatched"}), _foreign_event),
    Provocation(
        "the event sweep's cursor is set back two hours",
        frozenset({"FleetEventSweepBehind"}),
        _sweep_behind,
        moved_time=True,
    ),
    Provocation("bytes that nobody can read", frozenset({"FleetMoneyDeadLetter", "FleetDeadLetter"}), _letters),
    Provocation("RabbitMQ is killed", frozenset({"FleetBrokerAway", "FleetRelayStands"}), _broker_killed, _refunds),
    Provocation("a queue is deleted", frozenset({"FleetOutboxRefused"}), _queue_gone, _refunds),
    Provocation(
        "all workers are stopped while orders come in",
        frozenset({"FleetProcessAway", "FleetWorkOld", "FleetDrainsSlowly"}),
        _stopped("workers"),
        _orders,
    ),
    Provocation("the console is stopped", frozenset({"FleetConsoleAway"}), _stopped("console")),
    Provocation("one worker process stands still", frozenset({"FleetLoopStands"}), _worker_stands),
    Provocation("Valkey is killed", frozenset({"FleetCacheAway", "FleetBudgetNotShared"}), _cache_killed, _orders),
    Provocation(
        "PostgreSQL is killed",
        frozenset({"FleetDatabaseAway", "FleetCollectorBlind", "FleetApiFailing"}),
        _database_killed,
        _ask_api,
    ),
    Provocation("an entry is slipped into the ledger", frozenset({"FleetLedgerOutOfBalance"}), _ledger_forged),
    Provocation("a session holds its snapshot", frozenset({"FleetOldSnapshot"}), _snapshot_held),
    Provocation("the collector may not read disputes", frozenset({"FleetCollectorPartFails"}), _right_taken),
    Provocation(
        "days pass for holds, refunds, disputes and comparisons",
        frozenset(
            {
                *("FleetHoldsEnding", "FleetRefundsPendingLong", "FleetBuyersOwed", "FleetEvidenceDue"),
                *("FleetCaseOpen", "FleetReconciliationLate"),
            }
        ),
        _money_waits,
        moved_time=True,
    ),
)
