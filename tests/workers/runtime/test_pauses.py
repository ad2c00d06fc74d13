"""A paused tenant or venue: its charges wait with the reason, its refunds do not, and nothing dies of it."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from db import stripe_calls
from db.payments.payments import Payment
from db.session import Database
from db.tenants import pauses
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.ids import PaymentId, RefundId, ReversalId, TransferId
from messages.payments import ChargeRequested, PaymentLookupRequested
from messages.refunds import RefundRequested
from messages.shares import ReversalRequested, TransferRequested
from messages.sweeps import SweepDue
from messages.verdicts import TryLater
from stripe_client import payment_intents, transfers
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.conftest import Ledgers
from workers.runtime import pauses as pausing
from workers.runtime.actor import ACTORS, envelope_of, run
from workers.runtime.pauses import refuse_while_paused
from workers.sweep import sweep


@pytest.fixture(autouse=True)
def _read_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pausing, "READ_EVERY_SECONDS", 0.0)
    monkeypatch.setenv("APP_ENV", "test")


@pytest.fixture
def pause(db: Database, tenant: Tenant) -> Callable[..., None]:
    def hold(what: str = "charges", *, venue: bool = False, seconds: float | None = None) -> None:
        with db.ops_transaction() as tx:
            venue_id = tenant.venues[0].venue_id if venue else None
            pauses.add(
                tx, tenant_id=tenant.tenant_id, venue_id=venue_id, what=what, reason="a bot", by="oda", seconds=seconds
            )

    return hold


@pytest.fixture
def payment(db: Database, tenant: Tenant) -> Iterator[Payment]:
    yield factories.requested(db, tenant)


def charge_of(payment: Payment) -> ChargeRequested:
    return ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id)


def refund_of(payment: Payment) -> RefundRequested:
    return RefundRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id, refund_id=RefundId(uuid4()))


@pytest.mark.parametrize("venue", [True, False])
def test_a_paused_charge_waits_as_a_row_with_the_reason_and_spends_no_try(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, book_of: Ledgers, owner: psycopg.Connection,
    pause: Callable[..., None], payment: Payment, venue: bool,
) -> None:  # fmt: skip
    pause(venue=venue)
    message = charge_of(payment)

    run(ACTORS["charge"], message.model_dump(mode="json"), envelope_of(str(uuid4()), {}), db, gateway)

    assert stripe_control.requests() == []
    assert book_of.states(payment.payment_id) == ["requested"]
    assert book_of.count("dead_letters") == 0
    row = owner.execute("SELECT verdict, reason, attempt FROM message_failures").fetchone()
    assert row is not None
    assert row[0] == "try_later"
    assert "is paused (charges) by oda: a bot" in row[1]
    assert [waiting["kind"] for waiting in book_of.messages()][-1] == "charge"


def test_refunds_and_questions_go_on_while_charges_are_paused(
    db: Database, pause: Callable[..., None], payment: Payment
) -> None:
    pause("charges")

    refuse_while_paused(db, refund_of(payment))
    refuse_while_paused(db, PaymentLookupRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id))


def test_a_full_pause_holds_refunds_back_as_well(db: Database, pause: Callable[..., None], payment: Payment) -> None:
    pause("all")

    with pytest.raises(TryLater, match="paused"):
        refuse_while_paused(db, refund_of(payment))
    refuse_while_paused(db, PaymentLookupRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id))


@pytest.mark.parametrize("begun", [False, True])
def test_a_full_pause_holds_transfers_and_their_reversals_unless_they_are_under_way(
    db: Database, tenant: Tenant, pause: Callable[..., None], begun: bool
) -> None:
    transfer_id, reversal_id = TransferId(uuid4()), ReversalId(uuid4())
    messages = (
        TransferRequested(tenant_id=tenant.tenant_id, transfer_id=transfer_id),
        ReversalRequested(tenant_id=tenant.tenant_id, reversal_id=reversal_id),
    )
    if begun:
        with db.transaction(tenant.tenant_id) as tx:
            stripe_calls.begin(tx, operation=transfers.CREATE, subject_id=transfer_id, request={})
            stripe_calls.begin(tx, operation=transfers.REVERSE, subject_id=reversal_id, request={})
    pause("charges")
    for message in messages:
        refuse_while_paused(db, message)

    pause("all")
    for message in messages:
        with nullcontext() if begun else pytest.raises(TryLater, match="paused"):
            refuse_while_paused(db, message)


def test_a_charge_whose_answer_is_not_known_is_still_brought_to_its_end(
    db: Database, pause: Callable[..., None], payment: Payment
) -> None:
    with db.transaction(payment.tenant_id) as tx:
        stripe_calls.begin(tx, operation=payment_intents.CREATE, subject_id=payment.payment_id, request={})
    pause()

    refuse_while_paused(db, charge_of(payment))


def test_another_tenant_and_another_venue_are_not_held_back(
    db: Database, owner: psycopg.Connection, pause: Callable[..., None], payment: Payment, tenant: Tenant
) -> None:
    other = factories.requested(db, factories.tenant(owner))
    pause(venue=True)
    elsewhere = ChargeRequested(tenant_id=tenant.tenant_id, payment_id=PaymentId(uuid4()))  # of no venue that we know

    refuse_while_paused(db, charge_of(other))
    refuse_while_paused(db, elsewhere)
    with pytest.raises(TryLater):
        refuse_while_paused(db, charge_of(payment))


def test_a_pause_ends_by_its_time_and_by_being_lifted(
    db: Database, owner: psycopg.Connection, pause: Callable[..., None], payment: Payment
) -> None:
    pause(seconds=40)
    with pytest.raises(TryLater) as told:
        refuse_while_paused(db, charge_of(payment))
    assert told.value.seconds <= 40
    owner.execute(
        "UPDATE pauses SET paused_at = paused_at - interval '1 hour', ends_at = ends_at - interval '50 seconds'"
    )
    refuse_while_paused(db, charge_of(payment))

    pause()
    with pytest.raises(TryLater):
        refuse_while_paused(db, charge_of(payment))
    lift_all(db)
    refuse_while_paused(db, charge_of(payment))


def test_what_waited_for_a_pause_comes_back_with_the_sweep_after_it_was_lifted(
    db: Database, gateway: Gateway, owner: psycopg.Connection, pause: Callable[..., None], payment: Payment
) -> None:
    pause()
    wait_for_the_end(db, gateway, owner, payment)
    sweep(SweepDue(due_at=datetime.now(UTC)), db)
    assert min(waits(owner)) > 100  # it still holds

    lift_all(db)
    sweep(SweepDue(due_at=datetime.now(UTC)), db)

    assert max(waits(owner)) < 1


def test_what_waits_for_something_else_is_left_and_so_is_all_of_a_tenant_that_is_still_paused(
    db: Database, gateway: Gateway, owner: psycopg.Connection, pause: Callable[..., None], payment: Payment
) -> None:
    pause()
    wait_for_the_end(db, gateway, owner, payment)
    lift_all(db)
    pause(venue=True)
    sweep(SweepDue(due_at=datetime.now(UTC)), db)
    assert min(waits(owner)) > 100

    lift_all(db)
    owner.execute("UPDATE outbox SET due_at = due_at + interval '1 second'")  # by another failure than the pause
    sweep(SweepDue(due_at=datetime.now(UTC)), db)

    assert min(waits(owner)) > 100


def wait_for_the_end(db: Database, gateway: Gateway, owner: psycopg.Connection, payment: Payment) -> None:
    """The charge is delivered, and held back for minutes, because the pause is old."""
    owner.execute("DELETE FROM outbox")
    owner.execute("UPDATE pauses SET paused_at = paused_at - interval '10 minutes'")
    run(ACTORS["charge"], charge_of(payment).model_dump(mode="json"), envelope_of(str(uuid4()), {}), db, gateway)


def waits(owner: psycopg.Connection) -> list[float]:
    """For how many seconds each charge in the outbox waits."""
    rows = owner.execute(
        "SELECT extract(epoch FROM due_at - clock_timestamp())::float8 FROM outbox WHERE kind = 'charge'"
    ).fetchall()
    assert rows
    return [row[0] for row in rows]


def lift_all(db: Database) -> None:
    with db.ops_transaction() as tx:
        for held in pauses.in_force(tx):
            assert pauses.lift(tx, held.pause_id, by="oda")


def test_a_lifted_pause_stays_lifted_and_a_tenant_sees_none(
    db: Database, pause: Callable[..., None], tenant: Tenant
) -> None:
    pause()
    with db.ops_transaction() as tx:
        (held,) = pauses.in_force(tx)
        assert pauses.lift(tx, held.pause_id, by="oda")
    with db.ops_transaction() as tx:
        assert not pauses.lift(tx, held.pause_id, by="ada")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction(tenant.tenant_id) as tx:
        tx.execute("SELECT 1 FROM pauses")
