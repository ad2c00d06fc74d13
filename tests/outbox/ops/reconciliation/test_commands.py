"""The books from the command line: ledger reports, the chain, cases and coverage."""

from uuid import uuid4

import psycopg
import pytest

from db.ledger import hash_chain
from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.reconciliation import cases
from db.reconciliation.cases import CaseType
from db.session import Database
from db.tenants.tenants import Tenant
from db.webhooks import event_coverage
from messages.money import Money
from tests import factories
from tests.outbox.ops.conftest import Fleet


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


def test_an_empty_book_is_well_in_every_report(fleet: Fleet) -> None:
    assert fleet("ledger", "trial-balance", "--json").json == {"accounts": [], "off_balance": {}, "balanced": True}
    assert fleet("ledger", "venues", "--json").json == {"venues": []}
    assert fleet("ledger", "receivables", "--json").json == {"receivables": []}
    assert fleet("ledger", "verify", "--json").json["links"] == 0
    assert fleet("cases", "list", "--json").json == {"cases": []}
    assert fleet("events", "coverage", "--json").json == {"hours": [], "sweep": None}
    for words in (("ledger", "trial-balance"), ("ledger", "venues"), ("ledger", "receivables"), ("cases", "list")):
        assert fleet(*words).code == 0


def test_the_trial_balance_is_shown_with_its_sum_and_a_wrong_one_is_an_error(
    fleet: Fleet, db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    book(db, tenant)

    well = fleet("ledger", "trial-balance")
    edit_an_entry(owner)
    wrong = fleet("ledger", "trial-balance")

    assert well.code == 0
    assert "42.00 EUR" in well.out
    assert "sum" in well.out
    assert wrong.code == 1
    assert "is off" in wrong.err


def test_the_venues_are_shown_by_name(fleet: Fleet, db: Database, tenant: Tenant) -> None:
    book(db, tenant)

    assert "39.40 EUR" in fleet("ledger", "venues").out
    assert fleet("ledger", "venues", "--tenant", tenant.tenant_id, "--json").json["venues"][0]["name"] == "The Hall"


def test_verify_says_how_many_journals_are_not_sealed_and_names_the_first_broken_link(
    fleet: Fleet, db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    book(db, tenant)
    before = fleet("ledger", "verify")
    with db.system_transaction() as tx:
        hash_chain.seal(tx, limit=10)
    after = fleet("ledger", "verify")
    head = after.out.split()[-1]

    known, unknown = fleet("ledger", "verify", "--expect", head), fleet("ledger", "verify", "--expect", "1:00ff")
    edit_an_entry(owner)
    broken = fleet("ledger", "verify")

    assert "0 journals sealed, 1 not yet" in before.out
    assert "1 journals sealed, 0 not yet" in after.out
    assert (before.code, after.code, known.code, unknown.code, broken.code) == (0, 0, 0, 1, 1)
    assert "broken at link 1" in broken.err
    assert fleet("ledger", "verify", "--expect", "nonsense").code == 2


def test_a_case_is_listed_shown_and_closed_once_with_a_reason(fleet: Fleet, db: Database) -> None:
    with db.system_transaction() as tx:
        cases.open_case(
            tx, type=CaseType.UNKNOWN_TENANT, subject="txn_1", details="a charge of nobody", amount=Money(4200, "eur")
        )
    (case,) = fleet("cases", "list", "--json").json["cases"]
    name = case["case_id"]

    assert "42.00 EUR" in fleet("cases", "list", "--type", "unknown_tenant").out
    assert "find out at Stripe" in fleet("cases", "show", name).out
    assert fleet("cases", "close", name).code == 1
    assert fleet("cases", "close", name, "--reason", "a test charge").code == 0
    assert fleet("cases", "close", name, "--reason", "again").code == 1
    assert fleet("cases", "list", "--json").json == {"cases": []}
    shown = fleet("cases", "show", name, "--json").json
    assert (shown["state"], shown["closed_by"], shown["accepted"]) == ("closed", "ada", True)
    entry = fleet("ops", "log", "--json").json["entries"][0]
    assert (entry["action"], entry["reason"]) == ("accept case", "a test charge")


@pytest.mark.parametrize("words", [["--state", "gone"], ["--type", "bad_luck"], ["--tenant", "nobody"]])
def test_a_case_filter_that_cannot_be_is_wrong_use(fleet: Fleet, words: list[str]) -> None:
    assert fleet("cases", "list", *words).code == 2


def test_a_case_nobody_knows_is_an_error(fleet: Fleet) -> None:
    assert fleet("cases", "show", uuid4()).code == 1


def test_coverage_shows_each_hour_and_a_sweep_that_stands_is_an_error(
    fleet: Fleet, db: Database, owner: psycopg.Connection
) -> None:
    owner.execute("INSERT INTO event_coverage VALUES (date_trunc('hour', now()), 199, 1)")
    with db.system_transaction() as tx:
        found = event_coverage.gap(tx, overlap_seconds=0, settle_seconds=0, reach_days=30)
        event_coverage.move(tx, found.until)

    shown = fleet("events", "coverage")
    owner.execute("UPDATE event_sweep SET swept_until = swept_until - interval '2 hours'")
    standing = fleet("events", "coverage")

    assert "99.5%" in shown.out
    assert (shown.code, standing.code) == (0, 1)
    assert fleet("events", "coverage", "--json").json["hours"][0]["listed"] == 200


def book(db: Database, tenant: Tenant) -> None:
    entries = ledger.charge_entries(Money(4200, "eur"), Money(260, "eur"), tenant.venues[0].venue_id)
    with db.transaction(tenant.tenant_id) as tx:
        ledger.post(tx, None, [Journal("charge", "ch_1", entries)])


def edit_an_entry(owner: psycopg.Connection) -> None:
    with owner.transaction():
        owner.execute("ALTER TABLE ledger_entries DISABLE TRIGGER USER")
        owner.execute("UPDATE ledger_entries SET amount_minor = 4201 WHERE amount_minor = 4200")
