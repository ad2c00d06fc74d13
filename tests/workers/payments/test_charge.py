"""charge: it works, it works twice, the world says no, the world says nothing, someone else was first."""

from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from db.payments.states import PaymentState
from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested
from messages.verdicts import GiveUp, TryAgain, TryLater
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.ledger.scenario import balances
from workers.payments.charge import charge


def test_an_order_is_charged_once_and_booked_to_the_cent(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    tenant = factories.tenant(owner)
    payment = factories.requested(db, tenant, amount_minor=4200)

    charge(ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id), db, gateway)

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED
    assert balances(owner) == {
        "stripe_balance": 4048,
        "venue_payable": -3940,
        "platform_fees": -260,
        "stripe_fees": 152,
    }
    assert [effect["amount"] for effect in stripe_control.effects()] == [4200]


def test_a_second_delivery_changes_nothing(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    tenant = factories.tenant(owner)
    payment = factories.requested(db, tenant)
    message = ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id)
    charge(message, db, gateway)
    before = balances(owner)

    charge(message, db, gateway)

    assert balances(owner) == before
    assert len(stripe_control.effects()) == 1


def test_an_order_that_a_restored_book_has_forgotten_is_not_charged_again(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    tenant, order_id = factories.tenant(owner), str(uuid4())
    first = factories.requested(db, tenant, order_id=order_id)
    charge(ChargeRequested(tenant_id=tenant.tenant_id, payment_id=first.payment_id), db, gateway)
    forget_every_order(owner)

    again = factories.requested(db, tenant, order_id=order_id)
    with pytest.raises(GiveUp, match="another body"):
        charge(ChargeRequested(tenant_id=tenant.tenant_id, payment_id=again.payment_id), db, gateway)

    assert again.payment_id != first.payment_id
    assert len(stripe_control.effects()) == 1


def forget_every_order(owner: psycopg.Connection) -> None:
    """As a restore to an earlier moment leaves the book."""
    for (table,) in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
        owner.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(sql.Identifier(table)))
    owner.execute("TRUNCATE orders, calls CASCADE")


def test_a_declined_card_fails_the_payment_and_books_nothing(
    db: Database, owner: psycopg.Connection, gateway: Gateway
) -> None:
    tenant = factories.tenant(owner)
    payment = factories.requested(db, tenant, payment_method_id="pm_card_visa_chargeDeclinedInsufficientFunds")

    charge(ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id), db, gateway)

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.FAILED
    assert balances(owner) == {}
    assert published(owner)["payment.failed"] == "insufficient_funds"


def test_an_answer_that_is_lost_leaves_the_call_unknown_and_the_retry_finds_the_same_charge(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    tenant = factories.tenant(owner)
    payment = factories.requested(db, tenant)
    message = ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id)
    stripe_control.add_fault("drop_after", path="/v1/payment_intents", max_firings=1)

    with pytest.raises(TryAgain):
        charge(message, db, gateway)
    assert outcome_of_call(owner) == ("unknown", 1)
    charge(message, db, gateway)

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED
    assert outcome_of_call(owner) == ("answered", 2)
    assert len(stripe_control.effects()) == 1


def test_an_unanswered_call_older_than_its_key_is_looked_up_and_never_sent_again(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    tenant = factories.tenant(owner)
    payment = factories.requested(db, tenant)
    message = ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id)
    stripe_control.add_fault("drop_after", path="/v1/payment_intents", max_firings=1)
    with pytest.raises(TryAgain):
        charge(message, db, gateway)
    age_the_call(owner, hours=25)
    stripe_control.advance_clock(25 * 3600)  # Stripe has forgotten the key: sending it again would charge twice

    charge(message, db, gateway)

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED
    assert len(stripe_control.effects()) == 1


def test_only_a_proof_of_absence_opens_a_new_key(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    tenant = factories.tenant(owner)
    payment = factories.requested(db, tenant)
    message = ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id)
    stripe_control.add_fault("drop_before", path="/v1/payment_intents", max_firings=1)
    with pytest.raises(TryAgain):
        charge(message, db, gateway)

    age_the_call(owner, hours=23.5)
    with pytest.raises(TryLater):
        charge(message, db, gateway)
    age_the_call(owner, hours=1)
    with pytest.raises(TryAgain, match="proved absent"):
        charge(message, db, gateway)
    charge(message, db, gateway)

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED
    assert len(stripe_control.effects()) == 1


def test_a_stored_500_is_looked_up_instead_of_repeated(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    tenant = factories.tenant(owner)
    payment = factories.requested(db, tenant)
    message = ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id)
    stripe_control.add_fault("error_with_effect", path="/v1/payment_intents", max_firings=1)

    with pytest.raises(TryAgain):
        charge(message, db, gateway)
    charge(message, db, gateway)

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED
    assert len(stripe_control.effects()) == 1


def published(owner: psycopg.Connection) -> dict[str, str]:
    rows = owner.execute(
        "SELECT kind, convert_from(body, 'utf8')::jsonb -> 'data' ->> 'reason' FROM outbox WHERE exchange <> ''"
    )
    return dict(rows.fetchall())


def outcome_of_call(owner: psycopg.Connection) -> tuple[str, int]:
    row = owner.execute("SELECT outcome, sends FROM calls ORDER BY generation DESC LIMIT 1").fetchone()
    assert row is not None
    return row[0], row[1]


def age_the_call(owner: psycopg.Connection, *, hours: float) -> None:
    owner.execute(
        "UPDATE calls SET first_sent_at = first_sent_at - make_interval(secs => %(s)s), "
        "last_sent_at = last_sent_at - make_interval(secs => %(s)s)",
        {"s": hours * 3600},
    )
