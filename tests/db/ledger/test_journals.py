"""The ledger: every journal sums to zero per currency, nothing is ever changed, one fact is booked once (M2, M4)."""

from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.ledger import journals as ledger
from db.ledger.journals import Entry, Journal, UnbalancedError
from db.session import Database
from db.tenants.tenants import Tenant
from messages.ids import VenueId
from messages.money import LARGEST_MINOR, Money

JOURNAL = "INSERT INTO ledger_journals (tenant_id, kind, source_id) VALUES (%s, 'charge', %s) RETURNING journal_id"
ENTRY = """
    INSERT INTO ledger_entries (tenant_id, journal_id, line, account_id, amount_minor, currency)
    VALUES (%s, %s, %s, %s, %s, %s)
"""


def test_a_charge_is_booked_with_the_fee_apart(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    venue = tenant.venues[0].venue_id
    entries = ledger.charge_entries(Money(4200, "eur"), Money(260, "eur"), venue)

    with db.transaction(tenant.tenant_id) as tx:
        assert ledger.post(tx, None, [Journal("charge", "ch_1", entries)])

    rows = owner.execute(
        "SELECT line, code, venue_id, amount_minor "
        "FROM ledger_entries JOIN ledger_accounts USING (account_id) ORDER BY line"
    ).fetchall()
    assert rows == [
        (1, "stripe_balance", None, 4200),
        (2, "venue_payable", venue, -3940),
        (3, "platform_fees", None, -260),
    ]


def test_the_same_fact_is_booked_once(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    fee = ledger.stripe_fee_entries(Money(30, "eur"))

    with db.transaction(tenant.tenant_id) as tx:
        first = ledger.post(tx, None, [Journal("stripe_fee", "txn_1", fee)])
        second = ledger.post(tx, None, [Journal("stripe_fee", "txn_1", fee)])

    assert (first, second) == (True, False)
    assert owner.execute("SELECT count(*) FROM ledger_entries").fetchone() == (2,)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    amounts=st.lists(st.integers(-LARGEST_MINOR, LARGEST_MINOR), min_size=1, max_size=6),
    currencies=st.lists(st.sampled_from(["eur", "usd", "jpy"]), min_size=6, max_size=6),
)
def test_only_journals_that_sum_to_zero_in_each_currency_are_posted(
    db: Database, tenant: Tenant, amounts: list[int], currencies: list[str]
) -> None:
    pairs = list(zip(amounts, currencies, strict=False))
    mirrored = [*pairs, *((-minor, currency) for minor, currency in pairs)]
    sums = {currency: sum(minor for minor, c in pairs if c == currency) for _, currency in pairs}

    assert post(db, tenant, mirrored)
    if any(sums.values()) or len(pairs) < 2:
        with pytest.raises(UnbalancedError):
            post(db, tenant, pairs)
    else:
        assert post(db, tenant, pairs)


def test_entries_that_do_not_sum_to_zero_are_refused_even_when_written_by_hand(
    owner: psycopg.Connection, tenant: Tenant
) -> None:
    balance, fees = account(owner, tenant, "stripe_balance"), account(owner, tenant, "stripe_fees")

    with pytest.raises(psycopg.errors.CheckViolation, match="does not sum to zero in eur"), owner.transaction():
        journal = new_journal(owner, tenant)
        owner.execute(ENTRY, [tenant.tenant_id, journal, 1, balance, 100, "eur"])
        owner.execute(ENTRY, [tenant.tenant_id, journal, 2, fees, -99, "eur"])


def test_entries_that_end_at_zero_are_refused_when_one_statement_leaves_the_journal_off(
    owner: psycopg.Connection, tenant: Tenant
) -> None:
    """Each statement must add zero, so that none has to read the whole journal."""
    balance, fees = account(owner, tenant, "stripe_balance"), account(owner, tenant, "stripe_fees")

    with pytest.raises(psycopg.errors.CheckViolation, match="does not sum to zero in eur"), owner.transaction():
        journal = new_journal(owner, tenant)
        owner.execute(ENTRY, [tenant.tenant_id, journal, 1, balance, 100, "eur"])
        owner.execute(ENTRY, [tenant.tenant_id, journal, 2, fees, -100, "eur"])


def test_journals_posted_together_are_each_booked_once(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    charge = Journal("charge", "ch_1", ledger.charge_entries(Money(4200, "eur"), Money(260, "eur"), venue_of(tenant)))
    fee = Journal("stripe_fee", "txn_1", ledger.stripe_fee_entries(Money(30, "eur")))

    with db.transaction(tenant.tenant_id) as tx:
        first = ledger.post(tx, None, [charge])
        both = ledger.post(tx, None, [charge, fee])

    assert (first, both) == (1, 1)
    assert owner.execute("SELECT kind, count(*) FROM ledger_journals JOIN ledger_entries USING (tenant_id, journal_id) "
                         "GROUP BY kind ORDER BY kind").fetchall() == [("charge", 3), ("stripe_fee", 2)]  # fmt: skip


def test_two_currencies_cannot_balance_one_another(owner: psycopg.Connection, tenant: Tenant) -> None:
    euros, dollars = account(owner, tenant, "stripe_balance"), account(owner, tenant, "stripe_balance", "usd")

    with pytest.raises(psycopg.errors.CheckViolation, match="does not sum to zero"), owner.transaction():
        journal = new_journal(owner, tenant)
        owner.execute(ENTRY, [tenant.tenant_id, journal, 1, euros, 100, "eur"])
        owner.execute(ENTRY, [tenant.tenant_id, journal, 2, dollars, -100, "usd"])


def test_an_entry_cannot_name_another_currency_than_its_account(owner: psycopg.Connection, tenant: Tenant) -> None:
    euros = account(owner, tenant, "stripe_balance")

    with pytest.raises(psycopg.errors.ForeignKeyViolation), owner.transaction():
        journal = new_journal(owner, tenant)
        owner.execute(ENTRY, [tenant.tenant_id, journal, 1, euros, 0, "usd"])


def test_a_journal_without_entries_is_refused_at_commit(owner: psycopg.Connection, tenant: Tenant) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="double entry needs two"), owner.transaction():
        new_journal(owner, tenant)


def test_an_entry_added_later_to_an_old_journal_is_refused(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    post(db, tenant, [(100, "eur"), (-100, "eur")])
    found = owner.execute("SELECT journal_id, account_id FROM ledger_entries LIMIT 1").fetchone()
    assert found is not None

    with pytest.raises(psycopg.errors.CheckViolation, match="does not sum to zero"):
        owner.execute(ENTRY, [tenant.tenant_id, found[0], 3, found[1], 1, "eur"])


@pytest.mark.parametrize("table", ["ledger_journals", "ledger_entries"])
@pytest.mark.parametrize("change", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_ledger_cannot_be_changed_not_even_by_the_owner(
    db: Database, owner: psycopg.Connection, tenant: Tenant, table: str, change: str
) -> None:
    post(db, tenant, [(100, "eur"), (-100, "eur")])

    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        owner.execute(change.format(table))


def post(db: Database, tenant: Tenant, amounts: list[tuple[int, str]]) -> bool:
    entries = [Entry("stripe_balance", Money(minor, currency)) for minor, currency in amounts]
    with db.transaction(tenant.tenant_id) as tx:
        return ledger.post(tx, None, [Journal("charge", f"ch_{uuid4().hex}", entries)])


def venue_of(tenant: Tenant) -> VenueId:
    return tenant.venues[0].venue_id


def new_journal(owner: psycopg.Connection, tenant: Tenant) -> object:
    row = owner.execute(JOURNAL, [tenant.tenant_id, f"ch_{uuid4().hex}"]).fetchone()
    assert row is not None
    return row[0]


def account(owner: psycopg.Connection, tenant: Tenant, code: str, currency: str = "eur") -> object:
    row = owner.execute(
        "INSERT INTO ledger_accounts (tenant_id, code, currency) VALUES (%s, %s, %s) RETURNING account_id",
        [tenant.tenant_id, code, currency],
    ).fetchone()
    assert row is not None
    return row[0]
