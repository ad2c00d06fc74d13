"""reconcile_shares: rule, share rows, ledger and Stripe agree on every sale, or a case says what differs."""

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest

from db.reconciliation.cases import Case
from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from messages.reconciliation import ShareReconciliationDue
from stripe_client.gateway import Gateway
from tests.workers.disputes.scenario import look
from tests.workers.reconciliation.scenario import at_once, begin_run, cases_of, reconcile_now
from tests.workers.shares.scenario import Market, market, royalty
from workers.reconciliation import run_loop
from workers.shares import reconcile as share_reconcile
from workers.shares.reconcile import reconcile_shares

Run = Callable[[], list[Case]]


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    return market(db, owner, gateway, stripe_control)


@pytest.fixture
def compare(place: Market, monkeypatch: pytest.MonkeyPatch) -> Run:
    """One run over the last hour and the next, since the emulator's clock may be ahead; the cases there are then."""
    at_once(monkeypatch)

    def once() -> list[Case]:
        begin_run(place.owner, "shares_rolling", until="9 days")
        reconcile_shares(ShareReconciliationDue(span="rolling", due_at=datetime.now(UTC)), place.db, place.gateway)
        return cases_of(place.db)

    return once


def edit(owner: psycopg.Connection, statement: str) -> None:
    """What nobody may do: change an entry of the ledger."""
    with owner.transaction():
        owner.execute("ALTER TABLE ledger_entries DISABLE TRIGGER USER")
        owner.execute(statement)  # type: ignore[arg-type]
        owner.execute("ALTER TABLE ledger_entries ENABLE TRIGGER USER")


def ran(place: Market) -> tuple[str, int, int]:
    row = place.owner.execute(
        "SELECT state, lines, mismatches FROM reconciliation_runs WHERE span = 'shares_rolling' ORDER BY run_id DESC"
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def test_destination_charges_and_their_refunds_agree_and_open_no_case(place: Market, compare: Run) -> None:
    place.owner.execute("UPDATE venues SET settlement_mode = 'destination'")
    place.control.adjust_balance(100_000, "eur")
    first = place.sell(amount_minor=10_000)
    place.sell(amount_minor=3_333)
    place.work()
    place.control.advance_clock(8 * 86_400)
    place.give_back(first, 3_333)

    assert compare() == []
    assert ran(place) == ("done", 4 + 2, 0)


def test_sales_refunds_losses_and_what_accounts_owe_agree_and_open_no_case(place: Market, compare: Run) -> None:
    first = place.sell(amount_minor=10_000)
    lost = place.sell(amount_minor=7_777)
    place.sell(amount_minor=3_333)
    place.work()
    place.control.advance_clock(8 * 86_400)
    place.control.pay_out(place.artist_account)
    place.give_back(first, 5_000)
    dispute = place.control.dispute(str(lost.payment_intent_id))["id"]
    place.control.decide_dispute(dispute, "lost")
    look(place.db, place.gateway, lost, dispute)
    place.work()

    assert compare() == []
    assert ran(place) == ("done", 6 + 3, 0)  # transfers, and cuts


def test_a_share_that_is_not_what_the_rule_says_is_a_case_until_the_settings_say_it_too(
    place: Market, compare: Run
) -> None:
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.owner.execute("UPDATE royalty_settings SET basis_points = 900")

    (case,) = compare()
    assert (case.type, case.payment_id, case.amount_minor) == ("share_differs", payment.payment_id, 200)
    assert "900 by the rule, 1000 was frozen" in case.details

    place.owner.execute("UPDATE royalty_settings SET basis_points = 1000")
    assert [one.state for one in compare()] == ["closed"]


def test_terms_that_came_later_than_the_order_change_nothing(place: Market, compare: Run) -> None:
    place.sell(amount_minor=10_000)
    place.work()
    place.owner.execute("UPDATE royalty_settings SET valid_until = now()")
    royalty(place.owner, place.tenant, place.artist, 5_000, valid_from="now")

    assert compare() == []


def test_a_journal_that_gives_a_party_another_amount_is_a_case_until_it_is_put_right(
    place: Market, compare: Run
) -> None:
    payment = place.sell(amount_minor=10_000)
    place.work()
    wrong = (
        "UPDATE ledger_entries e SET amount_minor = amount_minor {} FROM ledger_journals j "
        "WHERE j.journal_id = e.journal_id AND j.kind = 'distribution'"
    )
    edit(place.owner, wrong.format("* 2"))

    (case,) = compare()
    assert (case.payment_id, case.amount_minor) == (payment.payment_id, 1_000)
    assert "is to get 1000 by its shares, 2000 by the ledger" in case.details

    edit(place.owner, wrong.format("/ 2"))
    assert [one.state for one in compare()] == ["closed"]


def test_a_reversal_made_in_the_dashboard_is_a_case_of_its_transfer(place: Market, compare: Run) -> None:
    place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(8 * 86_400)
    made = place.gateway.send("get", "/v1/transfers", {"destination": place.artist_account}).data["data"][0]
    place.gateway.send("post", f"/v1/transfers/{made['id']}/reversals", {"amount": 40})

    (case,) = compare()

    assert (case.subject, case.amount_minor) == (made["id"], 40)
    assert "40 came back at Stripe, 0 by the book" in case.details


def test_a_run_that_was_killed_goes_on_behind_its_last_page(
    place: Market, compare: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        place.sell(amount_minor=1_000)
        place.work()
    monkeypatch.setattr(share_reconcile, "_AT_ONCE", 1)
    monkeypatch.setattr(run_loop, "RUN_SECONDS", 0.0)

    compare()
    for _ in range(20):
        if ran(place)[0] == "done":
            break
        reconcile_shares(ShareReconciliationDue(span="rolling", due_at=datetime.now(UTC)), place.db, place.gateway)

    assert ran(place) == ("done", 6 + 3, 0)
    waiting = place.owner.execute("SELECT count(*) FROM outbox WHERE kind = 'royalty_reconcile'").fetchone()
    assert waiting is not None
    assert waiting[0] >= 3


def test_the_banks_lines_of_our_transfers_match_and_one_of_the_dashboard_is_missing_in_the_book(
    place: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch)
    first = place.sell(amount_minor=10_000)
    place.work()
    place.give_back(first, 1_000)
    reconcile_now(place.db, place.gateway, place.owner, until="20 days")
    assert cases_of(place.db) == []

    body = {"amount": 70, "currency": "eur", "destination": place.artist_account,
            "source_transaction": charge_of(place)}  # fmt: skip
    place.gateway.send("post", "/v1/transfers", body)
    reconcile_now(place.db, place.gateway, place.owner, until="20 days")

    (case,) = cases_of(place.db)
    assert (case.type, case.amount_minor, case.tenant_id) == ("missing_in_book", -70, first.tenant_id)


def charge_of(place: Market) -> str:
    row = place.owner.execute("SELECT charge_id FROM charges").fetchone()
    assert row is not None
    return str(row[0])
