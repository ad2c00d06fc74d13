"""The checker explains every cent of a sale, party by party, and says in words what does not fit."""

from uuid import uuid4

import psycopg
import pytest

from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from stripe_client.gateway import Gateway
from tests.workers.shares.scenario import Market, market
from workers.verify.report import SHARES_IN_ESCROW, SHARES_THAT_WAIT, Report
from workers.verify.verify import OrderServiceLog, verify

ASKED_NOTHING = OrderServiceLog(frozenset(), frozenset(), frozenset(), (), listens=False)


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    return market(db, owner, gateway, stripe_control)


@pytest.fixture
def look(place: Market, rabbitmq_url: str) -> "Look":
    return Look(place, rabbitmq_url)


class Look:
    def __init__(self, place: Market, rabbitmq_url: str) -> None:
        self._place, self._url = place, rabbitmq_url

    def __call__(self) -> Report:
        return verify(self._place.db, self._place.gateway, self._url, ASKED_NOTHING)


def age(place: Market) -> None:
    """Nothing that stands still counts as being worked on any more."""
    for table in ("transfers", "transfer_reversals", "shares", "distributions"):
        column = {"shares": "looked_at", "distributions": "released_at"}.get(table, "state_since")
        place.owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")  # type: ignore[arg-type]
        place.owner.execute(f"UPDATE {table} SET {column} = {column} - interval '1 hour'")  # type: ignore[arg-type]
        place.owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")  # type: ignore[arg-type]


def test_a_sale_a_clawback_and_what_is_owed_are_explained_to_the_cent(place: Market, look: Look) -> None:
    first = place.sell(amount_minor=10_000)
    place.sell(amount_minor=5_000)
    place.work()
    place.control.advance_clock(8 * 86_400)
    place.control.pay_out(place.artist_account)
    place.give_back(first, 5_000)

    report = look()

    assert report.clean, report.findings
    assert (report.kinds["transfers"].done, report.kinds["shares"].done) == (4, 4)
    artist = next(party for party in report.parties if party.kind == "artist")
    assert (artist.shared_minor, artist.returned_minor, artist.paid_minor) == (1_500, 500, 1_500)
    assert (artist.payable_minor, artist.receivable_minor) == (0, 500)
    assert report.kinds["connected accounts"].done == 2


def test_destination_charges_their_fees_and_what_came_back_of_both_are_explained_to_the_cent(
    place: Market, look: Look
) -> None:
    place.owner.execute("UPDATE venues SET settlement_mode = 'destination'")
    place.control.adjust_balance(100_000, "eur")
    first, _ = place.sell(amount_minor=10_000), place.sell(amount_minor=5_001)
    place.work()
    place.control.advance_clock(8 * 86_400)
    place.give_back(first, 3_333)

    report = look()

    assert report.clean, report.findings
    assert (report.kinds["application fees"].done, report.kinds["shares"].done) == (2, 4)


def test_an_application_fee_that_the_book_forgot_is_named(place: Market, look: Look) -> None:
    place.owner.execute("UPDATE venues SET settlement_mode = 'destination'")
    place.sell(amount_minor=10_000)
    place.owner.execute("ALTER TABLE application_fees DISABLE TRIGGER USER")
    place.owner.execute("DELETE FROM application_fees")

    report = look()

    assert report.kinds["application fees"].unexpected == 1
    assert not report.clean


def test_shares_in_escrow_and_those_that_wait_for_an_account_are_counted_and_nothing_of_ours_is_due(
    place: Market, look: Look
) -> None:
    place.owner.execute("UPDATE recipients SET account_id = NULL WHERE recipient_id = %s", [place.artist])
    place.sell(amount_minor=10_000)
    place.work()
    place.owner.execute("UPDATE venues SET escrow_days = 3")
    place.sell(amount_minor=10_000)
    age(place)

    report = look()

    assert report.clean, report.findings
    assert report.kinds[SHARES_IN_ESCROW].waiting == 2
    assert (report.kinds[SHARES_THAT_WAIT].waiting, report.waits) == (1, {"account": 1})


def test_a_share_that_stands_still_without_a_reason_is_lost(place: Market, look: Look) -> None:
    place.sell(amount_minor=10_000)
    place.owner.execute("DELETE FROM outbox")
    age(place)

    report = look()

    assert report.kinds["shares"].lost == 2


def test_a_transfer_made_twice_under_one_row_is_a_duplicate_and_unbalances_its_account(
    place: Market, look: Look
) -> None:
    place.sell(amount_minor=10_000)
    place.work()
    made = place.gateway.send("get", "/v1/transfers", {"destination": place.artist_account}).data["data"][0]
    again = {"amount": 1_000, "currency": "eur", "destination": place.artist_account, "metadata": made["metadata"]}
    place.control.adjust_balance(5_000, "eur")
    place.gateway.send("post", "/v1/transfers", again)

    report = look()

    assert report.kinds["transfers"].duplicated == 1
    assert report.unexplained_of_accounts == {(place.artist_account, "eur"): -1_000}


def test_a_transfer_and_a_reversal_made_in_the_dashboard_are_seen_at_the_accounts_they_touched(
    place: Market, look: Look
) -> None:
    place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(8 * 86_400)
    made = place.gateway.send("get", "/v1/transfers", {"destination": place.venue_account}).data["data"][0]
    place.gateway.send("post", f"/v1/transfers/{made['id']}/reversals", {"amount": 50})
    place.gateway.send("post", "/v1/transfers", {"amount": 70, "currency": "eur", "destination": place.artist_account})

    report = look()

    assert report.kinds["transfer reversals"].unexpected == 1
    assert report.unexplained_of_accounts == {
        (place.artist_account, "eur"): -70,
        (place.venue_account, "eur"): 50,
    }


def test_a_transfer_that_stripe_made_and_the_book_forgot_is_lost(place: Market, look: Look) -> None:
    place.sell(amount_minor=10_000)
    place.control.add_fault("drop_after", path="/v1/transfers")
    for _ in range(3):
        try:
            place.work()
        except AssertionError:
            continue
    place.control.clear_faults()
    place.owner.execute("DELETE FROM outbox")
    age(place)

    report = look()

    assert report.kinds["transfers"].lost == 2


def test_a_journal_that_pays_a_party_more_than_its_share_is_not_explained(place: Market, look: Look) -> None:
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.owner.execute(
        """
        WITH journal AS (
            INSERT INTO ledger_journals (tenant_id, kind, source_id, payment_id)
            VALUES (%(tenant)s, 'netting', %(id)s, %(payment)s)
            RETURNING journal_id
        ), accounts AS (
            SELECT account_id, row_number() OVER (ORDER BY code DESC) AS line FROM ledger_accounts
            WHERE code IN ('recipient_payable', 'platform_fees')
        )
        INSERT INTO ledger_entries (tenant_id, journal_id, line, account_id, amount_minor, currency)
        SELECT %(tenant)s, journal_id, line, account_id, CASE line WHEN 1 THEN 9 ELSE -9 END, 'eur'
        FROM journal, accounts
        """,
        {"tenant": payment.tenant_id, "id": str(uuid4()), "payment": payment.payment_id},
    )

    report = look()

    assert report.unexplained_of_parties == {(place.artist, "eur"): 9, (payment.tenant_id, "eur"): 9}
    assert not report.clean
