"""Payouts, balances and statements from the command line: what is shown adds up to the ledger."""

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pypdf import PdfReader

from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from messages.reconciliation import ConnectedPayoutsDue
from stripe_client.gateway import Gateway
from tests.outbox.ops.conftest import Fleet
from tests.workers.shares.scenario import Market, market
from workers.payouts.account_payouts import connected_payouts

WEEK = 8 * 86_400


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    return market(db, owner, gateway, stripe_control)


def a_busy_week(place: Market) -> None:
    """Sales, a refund that the artist cannot give back, and a sale that pays for it; one destination charge."""
    first = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(WEEK)
    place.control.empty_balance(place.artist_account)
    place.give_back(first, 5_000)
    place.sell(amount_minor=20_000)
    place.work()
    place.owner.execute("UPDATE venues SET settlement_mode = 'destination'")
    place.sell(amount_minor=3_000)


def statement(fleet: Fleet, recipient: object, file: Path, form: str, **days: int) -> Path:
    today = datetime.now(UTC).date()
    since, until = today + timedelta(days.get("since", 0)), today + timedelta(days.get("until", 0))
    words = ("--from", since, "--until", until, "--format", form, "--output", file)
    answer = fleet("statements", "print", recipient, *words)
    assert answer.code == 0, answer.err
    return file


def rows_of(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.mark.parametrize("who", ["venue", "artist"])
def test_a_statement_leads_from_nothing_to_what_the_ledger_says(
    fleet: Fleet, place: Market, tmp_path: Path, who: str
) -> None:
    a_busy_week(place)
    recipient = place.artist if who == "artist" else place.tenant.venues[0].venue_id

    opening, *lines, closing = rows_of(statement(fleet, recipient, tmp_path / "s.csv", "csv"))

    ledger = place.ledger()
    owed = -ledger["recipient_payable:artist" if who == "artist" else "venue_payable"]
    owing = ledger.get(f"recipient_receivable:{who}", 0)
    assert (opening["what"], opening["balance"]) == ("opening balance", "0.00")
    assert Decimal(closing["owed_to_you"]) == Decimal(owed) / 100
    assert Decimal(closing["owed_by_you"]) == Decimal(owing) / 100
    assert sum(Decimal(line["owed_to_you"]) for line in lines) == Decimal(owed) / 100
    assert sum(Decimal(line["owed_by_you"]) for line in lines) == Decimal(owing) / 100
    assert lines[-1]["balance"] == closing["balance"]


def test_a_statement_names_sales_fees_royalties_refunds_transfers_and_what_was_netted(
    fleet: Fleet, place: Market, tmp_path: Path
) -> None:
    a_busy_week(place)

    venue = rows_of(statement(fleet, place.tenant.venues[0].venue_id, tmp_path / "v.csv", "csv"))
    artist = rows_of(statement(fleet, place.artist, tmp_path / "a.csv", "csv"))

    sums: dict[str, Decimal] = {}
    for line in venue:
        sums[line["what"]] = sums.get(line["what"], Decimal(0)) + Decimal(line["owed_to_you"])
    assert (sums["sale"], sums["platform fee"], sums["refund"]) == (Decimal(330), Decimal("-18.00"), Decimal(-50))
    assert sums["shares of others"] == Decimal(-33)
    assert sums["kept of a transfer: platform fee and shares of others"] == Decimal(5)
    netted = [line for line in artist if line["what"] == "kept for what you owed"]
    assert [(line["owed_to_you"], line["owed_by_you"]) for line in netted] == [("-5.00", "-5.00")]
    assert {line["order"] for line in venue if line["what"] == "sale"} != {""}


def test_a_later_period_opens_where_the_earlier_one_closed(fleet: Fleet, place: Market, tmp_path: Path) -> None:
    place.sell(amount_minor=10_000)  # nothing is transferred yet

    rows = rows_of(statement(fleet, place.artist, tmp_path / "s.csv", "csv", since=1, until=5))

    assert [(row["what"], row["balance"]) for row in rows] == [
        ("opening balance", "10.00"),
        ("closing balance", "10.00"),
    ]


def test_the_pdf_shows_the_same_sums_in_the_recipients_own_letters(fleet: Fleet, place: Market, tmp_path: Path) -> None:
    a_busy_week(place)
    place.owner.execute("UPDATE recipients SET name = 'Žižkov Ωmega Ансамбль' WHERE recipient_id = %s", [place.artist])

    pdf = statement(fleet, place.artist, tmp_path / "s.pdf", "pdf")
    closing = rows_of(statement(fleet, place.artist, tmp_path / "s.csv", "csv"))[-1]

    text = "\n".join(page.extract_text() for page in PdfReader(pdf).pages)
    assert "Žižkov Ωmega Ансамбль" in text
    assert f"{closing['balance']} EUR" in text.split("closing balance")[1]
    assert "page 1 of 1" in text


def test_more_transfers_than_anybody_reads_are_summed_in_the_pdf(
    fleet: Fleet, place: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outbox.ops.payouts.statement_pdf.MOST_TRANSFERS", 1)
    a_busy_week(place)

    pdf = statement(fleet, place.artist, tmp_path / "s.pdf", "pdf")

    text = "\n".join(page.extract_text() for page in PdfReader(pdf).pages)
    assert "2 lines, together 25.00 EUR to you" in text
    assert "tr_" not in text


def test_a_recipient_that_nobody_knows_and_a_period_that_ends_before_it_begins_are_refused(
    fleet: Fleet, place: Market, tmp_path: Path
) -> None:
    file = tmp_path / "s.csv"

    unknown = fleet("statements", "print", place.tenant.tenant_id, "--from", "2026-01-01", "--until", "2026-01-02",
                    "--output", file)  # fmt: skip
    backwards = fleet("statements", "print", place.artist, "--from", "2026-01-02", "--until", "2026-01-01",
                      "--output", file)  # fmt: skip

    assert (unknown.code, backwards.code) == (1, 1)
    assert not file.exists()


def test_payouts_and_balances_are_listed_and_shown(fleet: Fleet, place: Market) -> None:
    place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(WEEK)
    (payout,) = place.control.pay_out(place.artist_account)
    place.control.advance_clock(3 * 86_400)
    place.control.finish_payout(payout["id"], "failed", code="account_closed", account=place.artist_account)
    due = ConnectedPayoutsDue(due_at=datetime.now(UTC), account_id=place.artist_account)
    connected_payouts(due, place.db, place.gateway)

    listed = fleet("payouts", "list", "--recipient", place.artist, "--failed", "--json").json["payouts"]
    shown = fleet("payouts", "show", payout["id"])
    balances = fleet("payouts", "balances", "--json").json["balances"]

    assert [(one["payout_id"], one["amount_minor"]) for one in listed] == [(payout["id"], 1_000)]
    assert "10.00 EUR" in shown.out
    assert "account_closed" in shown.out
    assert {row["name"]: row["available_minor"] for row in balances}["The Band"] == 1_000
    assert fleet("payouts", "show", "po_nobody").code == 1
    assert fleet("payouts", "list").code == fleet("payouts", "balances").code == 0


def test_the_tree_of_a_destination_charge_shows_what_came_back_as_a_fee(fleet: Fleet, place: Market) -> None:
    place.owner.execute("UPDATE venues SET settlement_mode = 'destination'")
    payment = place.sell(amount_minor=10_000)
    place.give_back(payment, 5_000)

    tree = fleet("payment", "shares", payment.payment_id)

    assert "application fee 15.50 EUR" in tree.out
    assert "application fee refund 7.75 EUR" in tree.out
