"""A row of a tenant in every table that has tenants, so that a test can try to reach it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg

from db import idempotency_keys, stripe_calls
from db.dead_letters import dead_letters
from db.dead_letters.dead_letters import DeadLetter
from db.disputes import booking as dispute_booking
from db.disputes import disputes, fraud_warnings
from db.disputes.states import DisputeStatus
from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.minting import mints, series, venue_settings
from db.minting.mints import NewMint
from db.minting.venue_settings import MintSettings
from db.operators import requests
from db.operators.requests import NewOperatorRequest
from db.payments import charges, payments
from db.payments.payments import Payment, PaymentAttempt
from db.payouts import statements
from db.queue import failed_runs
from db.queue.failed_runs import FailedRun
from db.reconciliation import cases
from db.reconciliation.cases import CaseType
from db.refunds import mass_refund_steps, mass_refunds, refunds
from db.refunds.refunds import NewRefund
from db.session import Database, Tx
from db.shares import clawbacks, sale_terms, shares
from db.shares.clawbacks import Clawback
from db.shares.shares import NewShare
from db.shares.states import ShareState
from db.tenants.tenants import Tenant
from db.transfers import destination_charges, transfers
from db.transfers import reversals as transfer_reversals
from db.transfers.transfers import NewTransfer
from db.webhooks import inbox
from db.webhooks.inbox import InboxEvent
from messages.ids import ShareId, TicketId
from messages.money import Money
from messages.token_ids import series_of, token_id_of
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from tests import factories


def leave_a_row_everywhere(db: Database, tenant: Tenant) -> None:
    payment = factories.requested(db, tenant)
    intent, charge, message_id = f"pi_{uuid4().hex}", f"ch_{uuid4().hex}", uuid4()
    with db.transaction(tenant.tenant_id) as tx:
        payments.begin_charging(tx, payment.payment_id, platform_fee_minor=0, by="test")
        call = stripe_calls.begin(tx, operation="test", subject_id=payment.payment_id, request={})
        attempt = PaymentAttempt(call.call_id, "charged")
        payments.mark_succeeded(tx, payment, intent_id=intent, platform_fee_minor=0, attempt=attempt, by="test")
        charges.record(tx, payment, charge_id=charge, intent_id=intent, amount_minor=payment.amount_minor)
        given = (payment.payment_id, payment.amount, [TicketId(uuid4())], "duplicate", "", "api", f"key-{message_id}")
        refunds.request(tx, NewRefund(*given, by="test"))
        entries = ledger.stripe_fee_entries(payment.amount)
        ledger.post(tx, payment.payment_id, [Journal("charge", charge, entries)])
        answer = {"fingerprint": bytes(32), "status": 202, "location": None, "body": b"{}", "seconds": 60}
        idempotency_keys.keep(tx, caller="buyer", key=str(message_id), **answer)
        leave_a_dispute(tx, payment)
        leave_a_mint(tx, payment)
        leave_a_share(tx, payment)
        reason = ("test", payment.payment_id, "give_up", "Test", "a reason", None)
        failed_runs.record(tx, FailedRun(tenant.tenant_id, message_id, 1, 1, *reason))
        cases.open_case(tx, type=CaseType.REFUND_FAILED, subject=charge, details="a reason", tenant_id=tenant.tenant_id)
        run, _ = mass_refunds.begin(tx, tenant.tenant_id, uuid4(), note="", by="test")
        mass_refund_steps.refuse(tx, run, payment.payment_id, code="test", reason="a reason")
    leave_a_group(db, tenant)
    hold = NewOperatorRequest(tenant.tenant_id, "hold", payment.payment_id, 1, "eur", note="a note", by="test")
    with db.ops_transaction() as tx:
        requests.ask(tx, hold, awaits_approval=False)
    event = InboxEvent(
        event_id=f"evt_{uuid4().hex}",
        tenant_id=tenant.tenant_id,
        payment_id=payment.payment_id,
        event_type="test",
        object_id=intent,
        account=None,
        api_version=None,
        livemode=False,
        payload={},
        state="pending",
        occurred_at=datetime.now(UTC),
    )
    with db.system_transaction() as tx:
        inbox.receive(tx, event)
        dead_letters.bury(tx, DeadLetter("worker", "a reason", "{}", message_id.bytes, tenant_id=tenant.tenant_id))


def leave_settings(owner: psycopg.Connection, tenant: Tenant) -> None:
    """What only the schema's owner writes."""
    venue_id = tenant.venues[0].venue_id
    owner.execute(
        "INSERT INTO royalty_settings (tenant_id, venue_id, sale, recipient_id, basis_points) "
        "VALUES (%s, %s, 'primary', %s, 100)",
        [tenant.tenant_id, venue_id, venue_id],
    )
    venue_settings.write(owner, tenant.tenant_id, [MintSettings(venue_id, "on")])
    owner.execute("INSERT INTO resale_rules (tenant_id, venue_id) VALUES (%s, %s)", [tenant.tenant_id, venue_id])


def leave_a_mint(tx: Tx, payment: Payment) -> None:
    event_id, ticket_id = uuid4(), TicketId(uuid4())
    name = series_of(payment.tenant_id, event_id)
    series.ensure(tx, event_id=event_id, venue_id=payment.venue_id, series=name)
    of_order = {"payment_id": payment.payment_id, "order_id": payment.order_id, "event_id": event_id}
    new = [NewMint(ticket_id, token_id_of(name, ticket_id), None)]
    mints.request(tx, **of_order, venue_id=payment.venue_id, new=new, by="test")


def leave_a_share(tx: Tx, payment: Payment) -> None:
    when = {"event_id": str(uuid4()), "venue_id": str(payment.venue_id), "ends_at": datetime.now(UTC).isoformat()}
    sale_terms.schedule_events(tx, [when], overrule=True)
    leg = NewShare(payment.venue_id, "venue", None, payment.amount, ShareState.RELEASED)
    terms = shares.SplitTerms("primary", "separate", uuid4(), None, "a test")
    (frozen,) = shares.freeze(tx, payment.payment_id, [leg], terms, by="test")
    nothing = Money(0, payment.currency)
    clawbacks.take_back(tx, "re_1", [Clawback(frozen.share_id, nothing, nothing)])
    shares.owe(tx, frozen.share_id, payment.amount, reason="a test")
    whole = [(frozen.share_id, payment.amount)]
    sent = ("acct_1", "share", payment.payment_id, None, "group", whole, nothing)
    transfer_id = transfers.request(tx, NewTransfer(frozen.owner.recipient_id, *sent), by="test")
    until, whom = datetime.now(UTC), frozen.owner.recipient_id
    statements.write(tx, uuid4(), whom, until=until, amount=payment.amount, netted=nothing, transfer_id=transfer_id)
    transfer_reversals.request(tx, transfer_id, frozen.share_id, Money(1, payment.currency), by="test")
    leave_an_application_fee(tx, payment, frozen.share_id)


def leave_an_application_fee(tx: Tx, payment: Payment, share_id: ShareId) -> None:
    fee_id, cent = f"fee_{payment.payment_id.hex}", Money(1, payment.currency)
    destination_charges.record_fee(
        tx, payment.payment_id, share_id, fee_id=fee_id, amount=payment.amount, balance_transaction_id="txn_1"
    )
    given = f"fr_{payment.payment_id.hex}"
    destination_charges.record_fee_refund(tx, fee_id, fee_refund_id=given, amount=cent, balance_transaction_id="txn_2")


def leave_a_group(db: Database, tenant: Tenant) -> None:
    data = factories.group(tenant, tickets_per_buyer=4)
    data["remind_at"] = [(datetime.now(UTC) + timedelta(hours=1)).isoformat()]
    share = factories.share(data, 0)
    events = [factories.group_event("opened", data), factories.group_event("share_paid_with", share)]
    assert accept(db, [IncomingEvent(event) for event in events]) == [OrderOutcome.ACCEPTED] * 2


def leave_a_dispute(tx: Tx, payment: Payment) -> None:
    dispute_id, now, amount = f"dp_{uuid4().hex}", datetime.now(UTC), payment.amount
    seen = disputes.DisputeSnapshot(
        dispute_id, "ch_1", amount, "fraudulent", DisputeStatus.NEEDS_RESPONSE, now, None, now
    )
    disputes.record(tx, payment.payment_id, seen, stage="chargeback", submitted=False, by="test")
    nothing = Money(0, amount.currency)
    taken = dispute_booking.BookableMovement(f"txn_{uuid4().hex}", "dispute", -amount, -amount, nothing)
    dispute_booking.record(tx, dispute_id, taken)
    of_warning = (payment.payment_id, "ch_1", "misc", True, "leave", "the venue's policy", None, now)
    fraud_warnings.record(tx, fraud_warnings.EarlyWarning(f"issfr_{uuid4().hex}", *of_warning))
