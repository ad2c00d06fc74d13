"""Ledger reports: they add up, and what stands open is as old as the entries that make it up."""

import psycopg
import pytest

from db.ledger import journals as ledger
from db.ledger import reports as ledger_reports
from db.ledger.journals import Entry, Journal
from db.ledger.reports import Receivable
from db.session import Database
from db.tenants.tenants import Tenant
from messages.money import Money
from tests import factories


def test_the_trial_balance_shows_each_account_and_adds_up_to_zero(db: Database, tenant: Tenant) -> None:
    charge(db, tenant, "ch_1", Money(4200, "eur"))
    charge(db, tenant, "ch_2", Money(100, "usd"))

    with db.ops_transaction() as tx:
        totals = ledger_reports.trial_balance(tx)

    assert [(total.currency, total.code, total.balance_minor) for total in totals] == [
        ("eur", "platform_fees", -260),
        ("eur", "stripe_balance", 4200),
        ("eur", "venue_payable", -3940),
        ("usd", "platform_fees", -10),
        ("usd", "stripe_balance", 100),
        ("usd", "venue_payable", -90),
    ]
    assert ledger_reports.off_balance(totals) == {}


def test_a_trial_balance_that_is_off_names_the_currency(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    charge(db, tenant, "ch_1", Money(4200, "eur"))
    with owner.transaction():
        owner.execute("ALTER TABLE ledger_entries DISABLE TRIGGER USER")
        owner.execute("UPDATE ledger_entries SET amount_minor = 4201 WHERE amount_minor = 4200")

    with db.ops_transaction() as tx:
        assert ledger_reports.off_balance(ledger_reports.trial_balance(tx)) == {"eur": 1}


def test_a_report_of_one_tenant_holds_nothing_of_another(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    charge(db, tenant, "ch_1", Money(4200, "eur"))
    other = factories.tenant(owner)

    with db.ops_transaction() as tx:
        assert ledger_reports.trial_balance(tx, tenant_id=other.tenant_id) == []
        assert ledger_reports.venue_balances(tx, tenant_id=other.tenant_id) == []
        assert len(ledger_reports.venue_balances(tx, tenant_id=tenant.tenant_id)) == 1


def test_a_venue_that_took_more_than_it_earned_stands_open_with_the_age_of_what_it_took(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    charge(db, tenant, "ch_1", Money(4200, "eur"))
    for source, minor, days in (("txn_a", 3_000, 100), ("txn_b", 2_000, 40), ("txn_c", 1_000, 20), ("txn_d", 50, 1)):
        take_back(db, owner, tenant, source, Money(minor, "eur"), days)

    with db.ops_transaction() as tx:
        (venue,) = ledger_reports.venue_balances(tx)
        (open_,) = ledger_reports.receivables(tx)

    assert (venue.payable_minor, venue.net_minor) == (3940 - 6050, 3940 - 6050)
    assert ages(open_) == (2110, 50, 1000, 1060, 0)


@pytest.mark.parametrize(("days", "place"), [(0, 1), (7, 1), (8, 2), (30, 2), (31, 3), (90, 3), (91, 4)])
def test_each_age_has_one_bucket(
    db: Database, owner: psycopg.Connection, tenant: Tenant, days: int, place: int
) -> None:
    take_back(db, owner, tenant, "txn_a", Money(100, "eur"), days)

    with db.ops_transaction() as tx:
        (open_,) = ledger_reports.receivables(tx)

    assert [minor != 0 for minor in ages(open_)[1:]] == [position == place for position in range(1, 5)]


def ages(row: Receivable) -> tuple[int, int, int, int, int]:
    return (row.total_minor, row.to_7_days_minor, row.to_30_days_minor, row.to_90_days_minor, row.older_minor)


def charge(db: Database, tenant: Tenant, charge_id: str, amount: Money) -> None:
    fee = Money(260 if amount.minor == 4200 else 10, amount.currency)
    entries = ledger.charge_entries(amount, fee, tenant.venues[0].venue_id)
    with db.transaction(tenant.tenant_id) as tx:
        assert ledger.post(tx, None, [Journal("charge", charge_id, entries)])


def take_back(
    db: Database, owner: psycopg.Connection, tenant: Tenant, source: str, amount: Money, days_ago: int
) -> None:
    venue = tenant.venues[0].venue_id
    entries = [Entry("venue_payable", amount, venue), Entry("stripe_balance", -amount)]
    with db.transaction(tenant.tenant_id) as tx:
        assert ledger.post(tx, None, [Journal("reversal", source, entries)])
    with owner.transaction():
        owner.execute("ALTER TABLE ledger_journals DISABLE TRIGGER USER")
        owner.execute(
            "UPDATE ledger_journals SET posted_at = posted_at - make_interval(days => %s) WHERE source_id = %s",
            [days_ago, source],
        )
        owner.execute("ALTER TABLE ledger_journals ENABLE TRIGGER USER")
