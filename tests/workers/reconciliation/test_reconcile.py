"""reconcile: every line of the bank has its journal and back; what has not is a case until it is right."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from db.ledger import journals as ledger
from db.ledger.journals import Entry, Journal
from db.payments.payments import Payment
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.money import Money
from messages.reconciliation import ReconcileDue
from messages.verdicts import TryAgain
from stripe_client.gateway import Gateway
from tests.workers.conftest import Ledgers
from tests.workers.reconciliation.scenario import at_once, cases_of, reconcile_now
from workers.reconciliation.reconcile import reconcile

Pay = Callable[..., Payment]
Run = Callable[[], None]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)


@pytest.fixture
def run(db: Database, gateway: Gateway, owner: psycopg.Connection, settings: None) -> Run:
    return lambda: reconcile_now(db, gateway, owner)


def test_a_book_that_agrees_with_the_bank_opens_no_case(pay: Pay, run: Run, db: Database, book_of: Ledgers) -> None:
    for _ in range(3):
        pay()
    pay(payment_method_id="pm_card_visa_chargeDeclined")

    run()

    assert cases_of(db) == []
    assert book_of.count("bank_lines") == 3
    assert last_run(book_of)[:4] == ("done", 3, 0, 0)


def test_a_wrong_journal_is_one_case_that_closes_when_the_difference_is_posted(
    pay: Pay, run: Run, db: Database, owner: psycopg.Connection
) -> None:
    payment = pay(amount_minor=4200)
    edit(owner, "UPDATE ledger_entries SET amount_minor = 4100 WHERE amount_minor = 4200")

    for _ in range(3):
        run()

    (case,) = cases_of(db)
    assert (case.type, case.amount_minor, case.currency, case.times_seen) == ("amount_differs", 100, "eur", 3)
    assert (case.tenant_id, case.payment_id) == (payment.tenant_id, payment.payment_id)
    assert "the ledger has 39.48 EUR" in case.details

    put_right(db, owner, payment, Money(100, "eur"))
    run()

    (case,) = cases_of(db)
    assert (case.state, case.closed_by, case.accepted) == ("closed", "reconciliation", False)


def test_a_missing_journal_is_one_case_and_its_payment_is_looked_up_again_once(
    pay: Pay, run: Run, db: Database, owner: psycopg.Connection, book_of: Ledgers
) -> None:
    payment = pay(amount_minor=4200)
    owner.execute("UPDATE charges SET balance_transaction_id = NULL, stripe_fee_minor = NULL, balance_currency = NULL")
    owner.execute("DELETE FROM outbox")

    for _ in range(3):
        run()

    (case,) = cases_of(db)
    assert (case.type, case.amount_minor, case.payment_id) == ("missing_in_book", 4048, payment.payment_id)
    assert [(one["kind"], one["payment_id"]) for one in book_of.messages()] == [("lookup", str(payment.payment_id))]


def test_a_charge_that_is_not_ours_is_a_case_until_a_person_accepts_it(
    gateway: Gateway, stripe_control: EmulatorControl, run: Run, db: Database
) -> None:
    charge_by_hand(gateway, metadata={})

    run()
    (case,) = cases_of(db)
    with db.ops_transaction() as tx:
        tx.execute(
            "UPDATE reconciliation_cases SET state = 'closed', accepted = true, closed_at = now(), closed_by = 'ada', "
            "closed_because = 'sold at the door'"
        )
    run()

    assert (case.type, case.tenant_id, case.amount_minor) == ("unknown_tenant", None, 4048)
    assert [one.state for one in cases_of(db)] == ["closed"]


def test_a_charge_with_the_metadata_of_a_tenant_we_do_not_have_is_unknown(
    gateway: Gateway, stripe_control: EmulatorControl, run: Run, db: Database
) -> None:
    charge_by_hand(gateway, metadata={"tenant_id": "019aa5b0-0c00-7a3e-9f1d-5b8c2f6e0a11", "payment_id": "x"})

    run()

    assert [case.type for case in cases_of(db)] == ["unknown_tenant"]


def test_money_that_only_the_book_has_is_a_case_until_the_book_takes_it_back(
    pay: Pay, run: Run, db: Database, owner: psycopg.Connection, stripe_control: EmulatorControl
) -> None:
    payment = pay(amount_minor=4200)
    stripe_control.reset()  # Stripe has never heard of it

    run()
    run()
    (case,) = cases_of(db)
    assert (case.type, case.amount_minor, case.payment_id) == ("missing_at_stripe", -4048, payment.payment_id)

    put_right(db, owner, payment, Money(-4048, "eur"))
    run()

    assert [one.state for one in cases_of(db)] == ["closed"]


def test_a_line_older_than_the_window_is_asked_for_before_anything_is_said_to_be_missing(
    pay: Pay, settings: None, db: Database, gateway: Gateway, owner: psycopg.Connection, book_of: Ledgers
) -> None:
    pay()
    owner.execute(
        "INSERT INTO reconciliation_runs (span, window_from, window_until, searched_until, phase) "
        "VALUES ('rolling', now() - interval '1 hour', now() + interval '2 seconds', now() - interval '1 hour', "
        "'searching')"
    )
    reconcile(ReconcileDue(span="rolling", due_at=datetime.now(UTC)), db, gateway)

    assert cases_of(db) == []
    assert book_of.count("bank_lines") == 1


def test_a_run_that_broke_goes_on_where_it_stood(
    pay: Pay, run: Run, db: Database, stripe_control: EmulatorControl, book_of: Ledgers, gateway: Gateway
) -> None:
    for _ in range(3):
        pay()
    rule = stripe_control.add_fault("error", method="GET", path="/v1/balance_transactions", status=503)

    with pytest.raises(TryAgain):
        run()
    assert last_run(book_of)[0] == "running"
    stripe_control.clear_faults(rule)
    reconcile(ReconcileDue(span="rolling", due_at=datetime.now(UTC)), db, gateway)

    assert last_run(book_of)[:3] == ("done", 3, 0)
    assert book_of.count("reconciliation_runs") == 1


def test_nothing_that_stripe_moved_before_the_first_tenant_is_looked_at(
    db: Database, gateway: Gateway, owner: psycopg.Connection, settings: None, tenant: Tenant, book_of: Ledgers
) -> None:
    owner.execute("UPDATE tenants SET created_at = now() - interval '90 minutes'")

    for span in ("daily", "rolling"):
        reconcile(ReconcileDue(span=span, due_at=datetime.now(UTC)), db, gateway)  # type: ignore[arg-type]

    rows = owner.execute("SELECT now() - window_from < interval '91 minutes' FROM reconciliation_runs").fetchall()
    assert rows == [(True,), (True,)]


def test_a_daily_run_is_done_once_a_day_and_a_rolling_one_as_often_as_asked(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, settings: None, book_of: Ledgers
) -> None:
    for _ in range(3):
        for span in ("daily", "rolling"):
            reconcile(ReconcileDue(span=span, due_at=datetime.now(UTC)), db, gateway)  # type: ignore[arg-type]

    spans = [span for (span,) in book_of.owner.execute("SELECT span FROM reconciliation_runs ORDER BY started_at")]
    assert sorted(spans) == ["daily", "rolling", "rolling", "rolling"]


def last_run(book_of: Ledgers) -> tuple[Any, ...]:
    row = book_of.owner.execute(
        "SELECT state, lines, mismatches, cases_opened, cases_closed FROM reconciliation_runs "
        "ORDER BY started_at DESC LIMIT 1"
    ).fetchone()
    assert row is not None
    return row


def edit(owner: psycopg.Connection, statement: str) -> None:
    """What nobody may do: change an entry of the ledger."""
    with owner.transaction():
        owner.execute("ALTER TABLE ledger_entries DISABLE TRIGGER USER")
        owner.execute(statement)  # type: ignore[arg-type]
        owner.execute("ALTER TABLE ledger_entries ENABLE TRIGGER USER")


def put_right(db: Database, owner: psycopg.Connection, payment: Payment, difference: Money) -> None:
    """Post the difference as a correction of the charge's journal."""
    row = owner.execute("SELECT journal_id FROM ledger_journals WHERE kind = 'charge'").fetchone()
    assert row is not None
    entries = [Entry("stripe_balance", difference), Entry("venue_payable", -difference, payment.venue_id)]
    with db.transaction(payment.tenant_id) as tx:
        assert ledger.post(tx, payment.payment_id, [Journal("reversal", str(row[0]), entries)])


def charge_by_hand(gateway: Gateway, metadata: dict[str, str]) -> None:
    gateway.v1.payment_intents.create({
        "amount": 4200,
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "confirm": True,
        "capture_method": "automatic",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "metadata": metadata,
    })  # fmt: skip
