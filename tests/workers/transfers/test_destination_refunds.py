"""Destination charges whose money goes back: every part of it comes from whoever has it, once."""

import psycopg
import pytest

from db.session import Database
from db.shares.states import ShareState
from deploy.local.stripe.control import EmulatorControl
from messages.verdicts import TryAgain
from stripe_client.gateway import Gateway
from tests.workers.disputes.scenario import look
from tests.workers.refunds.scenario import asked, message, reread
from tests.workers.refunds.scenario import lookup as refund_lookup_of
from tests.workers.shares.scenario import Market, market
from tests.workers.transfers.destination_scenario import WEEK, charge_of, fund
from workers.refunds.look_up import refund_lookup
from workers.refunds.refund import refund


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    place = market(db, owner, gateway, stripe_control)
    owner.execute("UPDATE venues SET settlement_mode = 'destination'")
    return place


def test_a_lost_dispute_reverses_the_transfer_and_the_royalty(place: Market) -> None:
    fund(place)
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(WEEK)

    dispute = str(place.control.dispute(charge_of(place, payment))["id"])
    place.control.decide_dispute(dispute, "lost")
    look(place.db, place.gateway, payment, dispute)
    place.work()

    assert (place.at_stripe(place.venue_account), place.at_stripe(place.artist_account)) == (0, 0)
    ledger = place.ledger()
    assert (ledger["venue_payable"], ledger["recipient_payable:artist"], ledger["platform_fees"]) == (0, 0, 0)


def test_a_refund_whose_answer_is_lost_is_booked_once_with_all_its_parts(place: Market) -> None:
    fund(place)
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(WEEK)
    place.control.add_fault("drop_after", path="/v1/refunds", max_firings=1)

    place.give_back(payment, 2_500)

    assert place.made("transfer_reversal").count(2_500) == 1
    assert place.shares(payment)[payment.venue_id].gap.minor == 0


def test_two_refunds_that_cross_leave_no_cent_behind_and_send_none(place: Market) -> None:
    fund(place)
    payment = place.sell(amount_minor=9_999)
    place.work()
    place.control.advance_clock(WEEK)
    first, second = asked(place.db, payment, 3_333), asked(place.db, payment, 2_222)
    place.control.add_fault("drop_after", path="/v1/refunds", max_firings=1)
    with pytest.raises(TryAgain):  # made at Stripe, and its answer is lost
        refund(message(first), place.db, place.gateway)

    refund(message(second), place.db, place.gateway)  # its answer tells of both fee refunds
    place.owner.execute("DELETE FROM outbox WHERE kind = 'refund'")
    place.work()
    waits = place.shares(payment)[payment.venue_id].waits_for
    refund(message(first), place.db, place.gateway)
    place.work()
    place.give_back(payment)

    assert waits == "refund"
    assert (place.at_stripe(place.venue_account), place.at_stripe(place.artist_account)) == (0, 0)
    ledger = place.ledger()
    assert (ledger["venue_payable"], ledger["recipient_payable:artist"], ledger["platform_fees"]) == (0, 0, 0)
    assert sorted(place.made("transfer")) == [1_000, 9_999]
    assert place.states(payment) == {ShareState.SETTLED}


def test_paying_a_refund_again_that_the_bank_sent_back_takes_nothing_of_the_venue_again(place: Market) -> None:
    fund(place)
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(WEEK)
    first = asked(place.db, payment, 2_500)
    refund(message(first), place.db, place.gateway)
    place.control.finish_refund(reread(place.db, first).stripe_refund_id, "fail")
    refund_lookup(refund_lookup_of(first), place.db, place.gateway)

    place.give_back(payment, 2_500)

    assert [one for one in place.made("transfer_reversal") if one == 2_500] == [2_500]
    assert place.shares(payment)[payment.venue_id].gap.minor == 0
    assert place.ledger()["refunds_payable"] == 0
