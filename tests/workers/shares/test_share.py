"""Shares: cut once, brought once, and taken back in proportion, in whatever order things happen."""

import psycopg
import pytest

from db.session import Database
from db.shares.states import ShareState
from deploy.local.stripe.control import EmulatorControl
from stripe_client.gateway import Gateway
from tests.workers.disputes.scenario import look
from tests.workers.shares.scenario import Market, market


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    return market(db, owner, gateway, stripe_control)


def test_a_sale_is_cut_once_and_each_part_reaches_its_account(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)  # fee 550, artist 1000, venue the rest

    place.work()

    assert place.at_stripe(place.venue_account) == 8_450
    assert place.at_stripe(place.artist_account) == 1_000
    assert place.states(payment) == {ShareState.SETTLED}
    assert place.ledger()["venue_payable"] == 0
    assert place.ledger()["recipient_payable:artist"] == 0


def test_delivering_everything_twice_moves_no_cent_twice(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)
    place.work()
    for share in place.shares(payment).values():
        place.deliver("share", {"tenant_id": str(share.tenant_id), "payment_id": str(share.payment_id),
                                "share_id": str(share.share_id)})  # fmt: skip
    place.work()

    assert sorted(place.made("transfer")) == [1_000, 8_450]


def test_a_refund_after_the_transfers_takes_each_share_back_in_proportion(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(8 * 86_400)  # what the accounts hold has become available

    place.give_back(payment, 2_500)

    assert place.at_stripe(place.venue_account) == 8_450 - 2_113  # of 25.00 the platform gives 1.37, the artist 2.50
    assert place.at_stripe(place.artist_account) == 1_000 - 250
    assert place.ledger()["venue_payable"] == 0


def test_everything_given_back_in_pieces_brings_every_party_to_zero(place: Market) -> None:
    payment = place.sell(amount_minor=9_999)
    place.work()
    place.control.advance_clock(8 * 86_400)

    for minor in [1, 3_333, 77, 6_588]:
        place.give_back(payment, minor)

    assert (place.at_stripe(place.venue_account), place.at_stripe(place.artist_account)) == (0, 0)
    ledger = place.ledger()
    assert (ledger["venue_payable"], ledger["recipient_payable:artist"], ledger["platform_fees"]) == (0, 0, 0)


def test_a_refund_before_the_transfers_were_made_leaves_only_the_rest_to_send(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)

    place.give_back(payment, 5_000)

    assert place.at_stripe(place.venue_account) == 4_225
    assert place.at_stripe(place.artist_account) == 500
    assert place.made("transfer_reversal") == []


def test_what_an_empty_account_cannot_give_back_is_kept_from_its_next_shares(place: Market) -> None:
    first = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(8 * 86_400)
    place.control.empty_balance(place.artist_account)

    place.give_back(first)
    owed = place.ledger()["recipient_receivable:artist"]
    place.sell(amount_minor=20_000)
    place.work()

    assert owed == 1_000
    assert place.ledger()["recipient_receivable:artist"] == 0
    assert place.at_stripe(place.artist_account) == 1_000  # of 2000, half paid what was owed


def test_what_is_owed_is_kept_once_however_many_shares_come_together(place: Market) -> None:
    first = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(8 * 86_400)
    place.control.empty_balance(place.artist_account)
    place.give_back(first)

    for _ in range(3):
        place.sell(amount_minor=20_000)
    place.work()

    assert place.ledger()["recipient_receivable:artist"] == 0
    assert place.at_stripe(place.artist_account) == 5_000  # of 6000, 1000 paid what was owed


def test_an_account_that_has_a_part_gives_that_part_and_owes_the_rest(place: Market) -> None:
    first = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(8 * 86_400)
    place.control.adjust_balance(-700, "eur", place.artist_account)

    place.give_back(first)

    assert place.at_stripe(place.artist_account) == 0
    assert place.ledger()["recipient_receivable:artist"] == 700
    assert place.states(first) == {ShareState.SETTLED}


def test_a_recipient_without_an_account_waits_and_others_are_paid(place: Market) -> None:
    place.owner.execute("UPDATE recipients SET account_id = NULL WHERE recipient_id = %s", [place.artist])
    payment = place.sell(amount_minor=10_000)

    place.work()

    assert place.at_stripe(place.venue_account) == 8_450
    assert place.shares(payment)[place.artist].state is ShareState.RELEASED


def test_escrow_holds_every_share(place: Market) -> None:
    place.owner.execute("UPDATE venues SET escrow_days = 3")
    payment = place.sell(amount_minor=10_000)

    place.work()

    assert place.states(payment) == {ShareState.HELD}
    assert place.made("transfer") == []


def test_a_payment_given_back_while_it_is_held_is_settled_without_any_transfer(place: Market) -> None:
    place.owner.execute("UPDATE venues SET escrow_days = 3")
    payment = place.sell(amount_minor=10_000)

    place.give_back(payment)

    assert place.states(payment) == {ShareState.SETTLED}
    assert place.made("transfer") == []


def test_a_venue_that_keeps_the_fee_makes_only_the_seller_bear_it(place: Market) -> None:
    place.owner.execute("UPDATE venues SET refund_fee_policy = 'kept'")
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(8 * 86_400)

    place.give_back(payment)

    assert place.at_stripe(place.artist_account) == 0
    assert place.ledger()["recipient_receivable:venue"] == 550
    assert place.ledger()["platform_fees"] == -550


@pytest.mark.parametrize("fault", ["drop_after", "error_with_effect", "drop_before"])
def test_a_transfer_whose_answer_is_lost_is_made_once(place: Market, fault: str) -> None:
    place.control.add_fault(fault, path="/v1/transfers", max_firings=1)
    payment = place.sell(amount_minor=10_000)

    place.work()

    assert sorted(place.made("transfer")) == [1_000, 8_450]
    assert place.states(payment) == {ShareState.SETTLED}


def test_a_share_that_a_lost_dispute_took_is_paid_again_when_it_is_won_after_all(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(8 * 86_400)
    dispute = place.control.dispute(str(payment.payment_intent_id))["id"]
    place.control.decide_dispute(dispute, "lost")
    look(place.db, place.gateway, payment, dispute)
    place.work()
    place.control.decide_dispute(dispute, "won")
    place.control.adjust_balance(20_000, "eur")

    look(place.db, place.gateway, payment, dispute)
    place.work()

    assert (place.at_stripe(place.venue_account), place.at_stripe(place.artist_account)) == (8_450, 1_000)
    assert place.states(payment) == {ShareState.SETTLED}


def test_a_transfer_that_an_account_may_not_have_waits_and_the_account_is_asked_about(place: Market) -> None:
    place.control.set_capability(place.artist_account, "transfers", "inactive")
    payment = place.sell(amount_minor=10_000)

    place.work()

    assert place.shares(payment)[place.artist].waits_for == "insufficient_capabilities_for_transfer"
    asked = place.owner.execute("SELECT tenant_id FROM outbox WHERE kind = 'account_lookup'").fetchall()
    assert asked == [(None,)]
