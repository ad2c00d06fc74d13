"""Destination charges: the money reaches the venue with the charge, and comes back with the refund, to the cent."""

import psycopg
import pytest

from db.payments.states import PaymentState
from db.session import Database
from db.shares.states import ShareState
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested, PaymentLookupRequested
from messages.verdicts import TryAgain, TryLater
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.reconciliation.scenario import at_once, cases_of, reconcile_now
from tests.workers.refunds.scenario import wish_to_capture
from tests.workers.shares.scenario import Market, market
from tests.workers.transfers.destination_scenario import WEEK, fund
from workers.payments.capture import capture
from workers.payments.charge import charge
from workers.payments.look_up import lookup


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    place = market(db, owner, gateway, stripe_control)
    owner.execute("UPDATE venues SET settlement_mode = 'destination'")
    return place


def test_a_charge_reaches_the_venue_at_once_and_what_is_not_its_own_comes_back(place: Market) -> None:
    fund(place)

    payment = place.sell(amount_minor=10_000)  # fee 550, artist 1000
    before_any_work = place.at_stripe(place.venue_account)
    place.work()

    assert before_any_work == 8_450
    assert place.at_stripe(place.venue_account) == 8_450
    assert place.at_stripe(place.artist_account) == 1_000
    assert sorted(place.made("transfer")) == [1_000, 10_000]
    assert place.made("application_fee") == [1_550]
    assert place.states(payment) == {ShareState.SETTLED}
    ledger = place.ledger()
    assert (ledger["venue_payable"], ledger["recipient_payable:artist"], ledger["platform_fees"]) == (0, 0, -550)


def test_a_royalty_waits_for_money_that_is_not_there_yet_and_follows(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)

    place.work()
    waiting = place.shares(payment)[place.artist].waits_for
    fund(place)
    place.owner.execute("UPDATE outbox SET due_at = clock_timestamp() WHERE kind = 'share'")
    place.work()

    assert waiting == "balance_insufficient"
    assert place.at_stripe(place.artist_account) == 1_000
    assert place.states(payment) == {ShareState.SETTLED}


@pytest.mark.parametrize("pieces", [[10_000], [2_500, 7_500], [1, 3_333, 77, 6_589], [3_333, 3_333, 3_334]])
def test_refunds_take_transfer_fee_and_royalty_back_and_send_no_cent_after_them(
    place: Market, pieces: list[int]
) -> None:
    fund(place)
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(WEEK)

    for minor in pieces:
        place.give_back(payment, minor)
        share = place.shares(payment)[payment.venue_id]
        assert (share.gap.minor, share.state) == (0, ShareState.SETTLED)

    assert (place.at_stripe(place.venue_account), place.at_stripe(place.artist_account)) == (0, 0)
    ledger = place.ledger()
    assert (ledger["venue_payable"], ledger["recipient_payable:artist"], ledger["platform_fees"]) == (0, 0, 0)
    assert sorted(place.made("transfer")) == [1_000, 10_000]  # nothing was sent to even out a cent


def test_a_sale_without_royalties_and_fee_sends_everything_and_asks_no_fee_back(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    place = market(db, owner, gateway, stripe_control, points=0)
    owner.execute("UPDATE venues SET settlement_mode = 'destination'")
    owner.execute("UPDATE fee_plans SET basis_points = 0, fixed_minor = 0")
    payment = place.sell(amount_minor=10_000)

    place.give_back(payment, 4_000)

    assert place.at_stripe(place.venue_account) == 6_000
    assert place.made("application_fee") == []
    assert place.ledger()["venue_payable"] == 0


def test_a_part_that_is_captured_shares_that_part(place: Market) -> None:
    fund(place)
    payment = place.sell(amount_minor=10_000, capture="manual")

    capture(wish_to_capture(place.db, payment, 6_000), place.db, place.gateway)
    place.work()

    assert place.at_stripe(place.venue_account) == 6_000 - 350 - 600
    assert place.made("application_fee") == [950]
    assert place.ledger()["venue_payable"] == 0
    assert place.states(payment) == {ShareState.SETTLED}


@pytest.mark.parametrize("fault", ["drop_after", "error_with_effect"])
def test_a_charge_whose_answer_is_lost_sends_the_venue_its_money_once(place: Market, fault: str) -> None:
    place.control.add_fault(fault, path="/v1/payment_intents", max_firings=1)
    payment = factories.requested(place.db, place.tenant, amount_minor=10_000)

    place.deliver("charge", {"tenant_id": str(payment.tenant_id), "payment_id": str(payment.payment_id)})

    assert place.made("transfer") == [10_000]
    assert place.ledger()["venue_payable"] == 0


def test_a_lookup_after_everything_is_booked_books_nothing_twice(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)

    for _ in range(2):
        lookup(
            PaymentLookupRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), place.db, place.gateway
        )

    assert place.ledger()["venue_payable"] == 0
    assert place.owner.execute("SELECT count(*) FROM transfers WHERE kind = 'destination'").fetchone() == (1,)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("UPDATE recipients SET account_id = NULL WHERE kind = 'venue'", "no connected account"),
        (
            "INSERT INTO connected_accounts (account_id, transfers) "
            "SELECT account_id, 'inactive' FROM recipients WHERE kind = 'venue'",
            "may not receive",
        ),
    ],
)
def test_a_venue_that_cannot_receive_makes_the_payment_wait_and_nothing_is_sent(
    place: Market, change: str, word: str
) -> None:
    place.owner.execute(change)
    payment = factories.requested(place.db, place.tenant)

    with pytest.raises(TryLater, match=word):
        charge(ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), place.db, place.gateway)

    waiting = factories.reread(place.db, payment.tenant_id, payment.payment_id)
    assert waiting.state is PaymentState.REQUESTED
    assert place.control.effects() == []


def test_an_account_that_stripe_knows_to_be_closed_fails_the_payment_and_is_looked_up(place: Market) -> None:
    place.control.set_capability(place.venue_account, "transfers", "inactive")

    payment = place.sell(amount_minor=10_000)

    assert payment.state is PaymentState.FAILED
    waiting = place.owner.execute("SELECT kind FROM outbox WHERE kind = 'account_lookup'").fetchall()
    assert waiting == [("account_lookup",)]
    assert place.made("charge") == []


def test_a_venue_that_changes_its_mode_keeps_what_its_charges_were(place: Market) -> None:
    fund(place)
    payment = place.sell(amount_minor=10_000, capture="manual")
    place.owner.execute("UPDATE venues SET settlement_mode = 'separate', escrow_days = 3")

    capture(wish_to_capture(place.db, payment), place.db, place.gateway)
    place.work()

    assert place.at_stripe(place.venue_account) == 8_450
    assert place.states(payment) == {ShareState.SETTLED}


def test_royalties_that_were_raised_after_the_intent_was_made_are_taken_back_from_the_venue(place: Market) -> None:
    fund(place)
    payment = factories.requested(place.db, place.tenant, amount_minor=10_000)
    place.control.add_fault("drop_after", path="/v1/payment_intents", max_firings=1)
    with pytest.raises(TryAgain):  # the intent says 1000 basis points
        charge(ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), place.db, place.gateway)
    place.owner.execute("UPDATE royalty_settings SET basis_points = 1500")

    place.deliver("charge", {"tenant_id": str(payment.tenant_id), "payment_id": str(payment.payment_id)})
    place.control.advance_clock(WEEK)
    place.work()

    assert place.at_stripe(place.venue_account) == 7_950
    assert place.at_stripe(place.artist_account) == 1_500
    assert place.ledger()["venue_payable"] == 0


def test_reconciliation_explains_every_line_of_charges_and_refunds(
    place: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch)
    fund(place)
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.give_back(payment, 2_500)

    reconcile_now(place.db, place.gateway, place.owner)

    explained = {"charge", "transfer", "application_fee", "refund", "transfer_refund", "application_fee_refund"}
    kinds = place.owner.execute("SELECT DISTINCT type FROM bank_lines").fetchall()
    assert {kind for (kind,) in kinds} >= explained
    assert [case.amount_minor for case in cases_of(place.db)] == [100_000]  # what the test itself put there
    assert place.ledger()["venue_payable"] == 0


def test_the_database_refuses_escrow_beside_destination_charges(place: Market) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="venues_destination_excludes_escrow"):
        place.owner.execute("UPDATE venues SET escrow_days = 3")


def test_lines_that_the_book_lost_find_their_payment_again(place: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)
    payment = place.sell(amount_minor=10_000)
    place.give_back(payment, 2_500)
    for table in ("ledger_entries", "transfer_lines", "transfer_reversals", "application_fee_refunds"):
        place.owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    place.owner.execute("UPDATE application_fees SET balance_transaction_id = 'txn_lost'")
    place.owner.execute("UPDATE application_fee_refunds SET balance_transaction_id = 'txn_lost_too'")
    place.owner.execute("UPDATE transfer_reversals SET balance_transaction_id = 'txn_gone'")
    place.owner.execute("UPDATE transfers SET balance_transaction_id = 'txn_away' WHERE kind = 'destination'")

    reconcile_now(place.db, place.gateway, place.owner)

    lost = [case for case in cases_of(place.db) if case.type == "missing_in_book"]
    assert {case.payment_id for case in lost} == {payment.payment_id}
    assert len(lost) == 4
